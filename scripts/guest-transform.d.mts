/** A transform class for the AssemblyScript compiler; see guest-transform.mjs. */
export function renameExports(names: ReadonlyMap<string, string>): new () => object;
