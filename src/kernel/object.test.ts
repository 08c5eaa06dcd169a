import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { kernelLayout } from "../../scripts/kernel-layout.ts";

const ROOT = new URL("../../", import.meta.url);
const OBJECT = "bpf/dist/aggregate.bpf.o";

test("what is generated from the kernel's header is up to date", () => {
  const header = readFileSync(new URL("bpf/aggregate.h", ROOT), "utf8");
  for (const { path, text } of kernelLayout(header)) {
    assert.equal(readFileSync(new URL(path, ROOT), "utf8"), text, path);
  }
});

test("the header's rules are C's rules", () => {
  const header = "struct nx_x {\n\t__u8 a;\n\t__u32 b[3]; /* c */\n\t__u64 d;\n\t__u16 e;\n};\n";
  const { text } = kernelLayout(header).find(({ path }) => path.endsWith(".h"))!;
  assert.deepEqual(
    [...text.matchAll(/== (\d+)/g)].map(([, number]) => Number(number)),
    [32, 0, 4, 16, 24],
  );
  assert.throws(() => kernelLayout("struct nx_x {\n\tint a;\n};\n"), /x: \tint a;/);
});

test("the committed aggregator is what its source compiles to", { skip: toolsMissing() }, (t) => {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-bpf-"));
  t.after(() => rmSync(folder, { recursive: true }));
  execFileSync("make", ["-s", "-C", "bpf", `OUT=${folder}`], { cwd: ROOT, stdio: "pipe" });
  const built = programs(readFileSync(join(folder, "aggregate.bpf.o")));
  const committed = programs(readFileSync(new URL(OBJECT, ROOT)));
  assert(committed.has("socket"));
  assert.deepEqual([...built.keys()], [...committed.keys()]);
  for (const [name, code] of committed) assert(built.get(name)!.equals(code), `section ${name}`);
});

test("the committed objects name no folder of the machine that built them", () => {
  const text = readFileSync(new URL(OBJECT, ROOT), "latin1");
  assert.doesNotMatch(text, /\/(?:home|work|root|tmp|usr)\//);
});

/** Other compilers give other, equally good code: only the pinned one is compared. */
function toolsMissing(): string | false {
  for (const tool of ["make", "clang-14", "llvm-strip-14"]) {
    if (spawnSync(tool, ["--version"]).error !== undefined) return `needs ${tool}`;
  }
  const headers = spawnSync("clang-14", [
    "-E",
    "-include",
    "bpf/bpf_helpers.h",
    "-xc",
    "/dev/null",
  ]);
  return headers.status === 0 ? false : "needs libbpf-dev";
}

/** Instructions of every section that has some, by name: those of ELF64, little-endian. */
function programs(elf: Buffer): Map<string, Buffer> {
  const table = Number(elf.readBigUInt64LE(0x28));
  const bytes = elf.readUInt16LE(0x3a);
  const section = (index: number) => {
    const at = table + index * bytes;
    const offset = Number(elf.readBigUInt64LE(at + 24));
    const end = offset + Number(elf.readBigUInt64LE(at + 32));
    const executable = (elf.readUInt32LE(at + 8) & 4) !== 0;
    return { name: elf.readUInt32LE(at), content: elf.subarray(offset, end), executable };
  };
  const names = section(elf.readUInt16LE(0x3e)).content;
  const sections = Array.from({ length: elf.readUInt16LE(0x3c) }, (_, index) => section(index));
  return new Map(
    sections
      .filter(({ executable, content }) => executable && content.length > 0)
      .map(({ name, content }) => [
        names.toString("latin1", name, names.indexOf(0, name)),
        content,
      ]),
  );
}
