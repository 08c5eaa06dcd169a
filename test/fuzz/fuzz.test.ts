// The short form of the fuzzer: so many cases a target, and every input that was wrong once. The
// long form: `npm run prove -- fuzz events --minutes 10 --seed 7`.
import { SEED } from "#testing/seed.ts";
import assert from "node:assert/strict";
import test from "node:test";
import { Campaign, Finding } from "./campaign.ts";
import { corpusOf } from "./corpus.ts";
import { TARGETS } from "./targets.ts";

for (const [name, target] of Object.entries(TARGETS)) {
  const skip = target.missing?.() ?? false;
  test(`fuzz ${name}: ${target.sentence} (SEED=${SEED})`, { skip, timeout: 300_000 }, async (t) => {
    const subject = await target.open();
    t.after(async () => subject.close?.());
    const campaign = new Campaign(target, subject, SEED);
    for (const { name: file, input } of corpusOf(name)) {
      await assert.doesNotReject(async () => campaign.check(input), `${name}/${file}`);
    }
    for (let number = 0; number < target.caseCount; number++) {
      try {
        await campaign.run(campaign.nameOf(number));
      } catch (error) {
        if (!(error instanceof Finding)) throw error;
        const again = `npm run prove -- fuzz ${name} --seed ${SEED} --case ${error.caseName}`;
        throw new Error(again, { cause: error.cause });
      }
    }
    // One that always ends the same proves little.
    assert(campaign.outcomes.size >= 2, [...campaign.outcomes.keys()].join(", "));
    t.diagnostic(`${campaign.outcomes.size} outcomes`);
  });
}
