// Conversations written by hand, judged through the engine: once with the earlier turns given, once
// with turns that were judged before and are remembered. What was said before must raise what does
// harm only as an answer, and lower what only looks like it.
import { startEngine } from "#engine/engine.ts";
import { MODERATE_COUNT_MAX } from "#model/limits.ts";
import type { Category, ModerationRequest, Verdict } from "#model/moderation.ts";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test, { after } from "node:test";
import { auc } from "../../scripts/classifier/metrics.ts";

type Turn = { readonly user: string; readonly text: string; readonly replyTo: string | undefined };
type Exchange = {
  readonly behaviour: string;
  readonly isHarmful: boolean;
  readonly before: readonly Turn[];
  readonly last: Turn;
};

const RAISING: readonly Category[] = ["toxicity", "harmfulReply"];
const HARMFUL_SHARE_MIN = 0.6;
const HARMLESS_SHARE_MIN = 0.8;
const AUC_MIN = 0.8;
/** What the same turns may score apart, as a trace keeps a turn in few bytes. */
const ROADS_APART_MAX = 0.15;

const engine = await startEngine({
  shardCount: 1,
  slotCount: 4,
  imageBytesMax: 2 ** 24,
  tenantCountMax: 8,
});
after(async () => engine.stop());

async function judge(
  tenant: string,
  requests: readonly ModerationRequest[],
): Promise<readonly Verdict[]> {
  const verdicts: Verdict[] = [];
  for (let at = 0; at < requests.length; at += MODERATE_COUNT_MAX) {
    const outcomes = await engine.moderate(tenant, requests.slice(at, at + MODERATE_COUNT_MAX));
    for (const outcome of outcomes) {
      assert("verdict" in outcome, JSON.stringify(outcome));
      verdicts.push(outcome.verdict);
    }
  }
  return verdicts;
}

/** `1|a: text / b: text / c>0: text`; the last turn is judged. */
function readExchanges(name: string): readonly Exchange[] {
  const path = new URL(`conversations/${name}.txt`, import.meta.url);
  const exchanges: Exchange[] = [];
  let behaviour = "";
  for (const line of readFileSync(path, "utf8").split("\n")) {
    if (line.startsWith("= ")) behaviour = line.slice(2);
    if (!/^[01]\|/.test(line)) continue;
    const turns = line
      .slice(2)
      .split(" / ")
      .map((part): Turn => {
        const [, user, replyTo, text] = /^(\w)(?:>(\d))?: (.*)$/.exec(part) ?? [];
        assert(user !== undefined && text !== undefined, line);
        return { user, text, replyTo };
      });
    const last = turns.at(-1)!;
    exchanges.push({ behaviour, isHarmful: line[0] === "1", before: turns.slice(0, -1), last });
  }
  return exchanges;
}

const given = async (exchanges: readonly Exchange[]): Promise<readonly Verdict[]> =>
  judge(
    "given",
    exchanges.map(({ before, last }) => ({
      ...last,
      context: before.map(({ user, text }, index) => ({ id: String(index), user, text })),
      doNotStore: true,
    })),
  );

const remembered = async (exchanges: readonly Exchange[]): Promise<readonly Verdict[]> => {
  const tsMs = Date.now();
  const requests = exchanges.flatMap(({ before, last }, number) =>
    [...before, last].map((turn, index) => {
      return { ...turn, id: String(index), conversation: `c${number}`, tsMs: tsMs + index };
    }),
  );
  const verdicts = await judge("remembered", requests);
  let at = -1;
  return exchanges.map(({ before }) => verdicts[(at += before.length + 1)]!);
};

const scoreOf = ({ scores }: Verdict): number =>
  Math.max(...RAISING.map((category) => scores[category]));

/** Shares that are right, and the ranking; each behaviour is told. */
function rate(exchanges: readonly Exchange[], verdicts: readonly Verdict[]) {
  const share = (isHarmful: boolean): number => {
    const side = exchanges.flatMap((exchange, index) =>
      exchange.isHarmful === isHarmful ? [verdicts[index]!.flagged === isHarmful] : [],
    );
    return side.filter(Boolean).length / side.length;
  };
  const labels = exchanges.map(({ isHarmful }) => Number(isHarmful));
  return { harmful: share(true), harmless: share(false), auc: auc(verdicts.map(scoreOf), labels) };
}

for (const name of ["learned", "sealed"]) {
  test(`${name} conversations: given and remembered turns raise and lower`, async (t) => {
    const exchanges = readExchanges(name);
    assert(exchanges.length >= 40);
    const roads = { given: await given(exchanges), remembered: await remembered(exchanges) };
    const alone = await judge(
      "alone",
      exchanges.map(({ last }) => ({ user: last.user, text: last.text })),
    );
    const before = rate(exchanges, alone);
    t.diagnostic(`alone: ${JSON.stringify(before)}`);
    for (const [road, verdicts] of Object.entries(roads)) {
      const figures = rate(exchanges, verdicts);
      t.diagnostic(`${road}: ${JSON.stringify(figures)}`);
      assert(figures.harmful >= HARMFUL_SHARE_MIN, `${road}: ${figures.harmful} of the harmful`);
      assert(figures.harmless >= HARMLESS_SHARE_MIN, `${road}: ${figures.harmless} of the others`);
      assert(figures.auc >= AUC_MIN && figures.auc > before.auc + 0.2, `${road}: ${figures.auc}`);
    }
    let apart = 0;
    for (const [index, verdict] of roads.given.entries()) {
      if (Math.abs(scoreOf(verdict) - scoreOf(roads.remembered[index]!)) > ROADS_APART_MAX) apart++;
    }
    assert(apart <= exchanges.length / 10, `${apart} differ by how their turns came`);
  });
}

test("the reason says what the conversation did", async () => {
  const exchanges = [...readExchanges("learned"), ...readExchanges("sealed")];
  const verdicts = await given(exchanges);
  let told = 0;
  for (const verdict of verdicts) {
    const { toxicity } = verdict.scores;
    const alone = verdict.toxicityAlone;
    if (Math.abs(toxicity - alone) < 0.25) continue;
    const way = toxicity > alone ? "raised" : "lowered";
    assert.match(verdict.reason, new RegExp(`the conversation ${way} its toxicity`));
    told++;
  }
  assert(told >= 30, `${told}`);
});
