// `npm run train`: trains the classifier from the public corpora and the grammar, writes
// classifier/dist/weights.bin and the figures of docs/model-card.md. The same corpora and the same
// seed give the same bytes. `-- --seed N`, `-- --out FILE` (weights elsewhere, card untouched).
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { corporaFolder, loadCorpora } from "./corpora.ts";
import { Features } from "./features.ts";
import { writeCard } from "./model-card.ts";
import { chooseRows } from "./rows.ts";
import { trainMessages, trainReplies } from "./stages.ts";
import { Weights } from "./weights.ts";

const WEIGHTS = join(import.meta.dirname, "..", "..", "classifier", "dist", "weights.bin");

const { values } = parseArgs({
  options: { seed: { type: "string", default: "1" }, out: { type: "string" } },
});
const startMs = performance.now();
const log = (line: string): void => {
  const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
  process.stdout.write(`${seconds.padStart(4)} s  ${line}\n`);
};

const folder = corporaFolder();
if (folder === undefined) {
  process.stderr.write("No corpora: set NEXUSCORE_SHARED_DATA to their folder.\n");
  process.exit(1);
}
const options = { seed: Number(values.seed), messageSeeds: 3, replySeeds: 3 };
log(`seed ${options.seed}`);
const corpora = loadCorpora(folder);
for (const { name, licence, samples } of corpora)
  log(`${name}: ${samples.length} rows, ${licence}`);
const rows = chooseRows(corpora, options.seed);
const features = await Features.open();
const weights = new Weights();
await trainMessages(features, weights, rows, options, log);
await trainReplies(features, weights, rows, options, log);
writeFileSync(values.out ?? WEIGHTS, weights.bytes);
const digest = createHash("sha256").update(weights.bytes).digest("hex");
log(`${weights.bytes.length} bytes, sha256 ${digest}`);
if (values.out === undefined)
  await writeCard({ folder, corpora, rows, features, digest, options, log });
