// Gives a guest's exports their names in the world, which AssemblyScript identifiers cannot spell
// (":/@#"), and drops every export the world does not know. For the compiler's `transforms` option.
import { Transform } from "assemblyscript/transform";

/** `names`: as the entry exports it -> as the core module shall. */
export function renameExports(names) {
  return class extends Transform {
    afterCompile(module) {
      const { binaryen } = this;
      const found = new Map();
      for (let index = 0; index < module.getNumExports(); index++) {
        const { name, value, kind } = binaryen.getExportInfo(module.getExportByIndex(index));
        found.set(name, { value, kind });
      }
      for (const [name, { kind }] of found) {
        if (kind !== binaryen.ExternalMemory) module.removeExport(name);
      }
      for (const [name, worldName] of names) {
        const entry = found.get(name);
        if (entry === undefined) throw new Error(`The entry does not export "${name}".`);
        if (entry.kind === binaryen.ExternalFunction) {
          module.addFunctionExport(entry.value, worldName);
        }
      }
    }
  };
}
