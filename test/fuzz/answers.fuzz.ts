/** What other machines hand us: sketches to merge, and answers of upstream language models. */
import { EventStream } from "#llm/event-stream.ts";
import { readCompletion, type UpstreamAnswer } from "#llm/completion.ts";
import { readAnswers } from "#llm/structured-output.ts";
import { Merger } from "#merger/merger.ts";
import { JOBS } from "#model/consultation.ts";
import { UPSTREAM_ANSWER_BYTES_MAX } from "#model/limits.ts";
import { eachCategory } from "#model/moderation.ts";
import { Random } from "#std/random.ts";
import { randomStream } from "#testing/merging.ts";
import { encodeStream, HEADER_BYTES, reseal } from "#testing/portable-sketch.ts";
import assert from "node:assert/strict";
import type { FuzzSubject, FuzzTarget } from "./target.ts";

/** First byte, if odd: length and checksum are made right again. */
export const sketches: FuzzTarget = {
  sentence: "sketches of strangers: merged, or refused and without a trace in the merge",
  caseCount: 400,
  open: (): FuzzSubject => {
    const shape = { users: 5_000, names: 12, terms: 200, wide: true };
    const streams = [1, 2, 3].map((seed) => randomStream(new Random(seed), shape));
    const whole = streams.map((stream) => encodeStream("minute", stream));
    const merger = new Merger();
    merger.open("minute");
    assert.equal(merger.add(whole[0]!), undefined);
    const alone = Buffer.from(merger.sketch());
    return {
      seeds: [0, 1].flatMap((sealed) =>
        whole.map((sketch) => Buffer.concat([Buffer.from([sealed]), sketch])),
      ),
      dictionary: ["NXS1", Buffer.alloc(8, 0xff), Buffer.from([0, 0, 0, 0, 0, 0, 0xf0, 0x7f])],
      check: (input) => {
        const sketch = new Uint8Array(input.subarray(1));
        if ((input[0] ?? 0) % 2 === 1 && sketch.length >= HEADER_BYTES) reseal(sketch);
        merger.open("minute");
        merger.add(whole[0]!);
        const fault = merger.add(sketch);
        if (fault !== undefined) {
          assert(alone.equals(merger.sketch()), "what is refused leaves no trace");
          return fault;
        }
        const { terms, metrics, eventCount, userCount } = merger.report(50);
        assert(eventCount >= 0 && userCount >= 0);
        for (const { count } of terms) assert(count >= 0, `a term counts ${count}`);
        const merged = merger.sketch();
        merger.open("minute");
        assert.equal(merger.add(merged), undefined, "a merge is a sketch itself");
        return `merged ${Math.min(terms.length, 3)} ${Math.min(metrics.length, 3)}`;
      },
    };
  },
};

/** First byte: how it comes. */
export const upstreamAnswers: FuzzTarget = {
  sentence: "answers of upstream language models, whole and streamed, for every job",
  caseCount: 1_500,
  open: (): FuzzSubject => {
    const judgement = { id: "c1", scores: eachCategory(() => 0.5), reason: "it is" };
    const contents = [
      JSON.stringify({ answers: [judgement] }),
      JSON.stringify({ answers: [{ id: "c1", sentences: ["One.", "Two."] }] }),
      JSON.stringify({ answers: [{ id: "c1", summary: "What was said." }] }),
      "```json\n{}\n```",
    ];
    const usage = { prompt_tokens: 12, completion_tokens: 3, total_tokens: 15 };
    const whole = (content: string): string =>
      JSON.stringify({ choices: [{ message: { content }, finish_reason: "stop" }], usage });
    const streamed = (content: string): string =>
      `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n` +
      `data: ${JSON.stringify({ choices: [{ delta: {}, finish_reason: "stop" }], usage })}\n\n` +
      "data: [DONE]\n\n";
    const texts = contents.flatMap((content) => [
      `\0${content}`,
      `\x01${whole(content)}`,
      `\x02${streamed(content)}`,
    ]);
    return {
      seeds: texts.map((text) => Buffer.from(text)),
      dictionary: [
        ..."data: data:[DONE] \n\n \r\n : event: id: retry: null true 1e999 -1 {} [] ```".split(
          " ",
        ),
        ...["choices", "delta", "content", "finish_reason", "length", "usage"].map(
          (n) => `"${n}":`,
        ),
        ...["answers", "scores", "reason", "__proto__", "refusal"].map((name) => `"${name}":`),
        "\n\n",
        "\\ud800",
        "c1",
      ],
      check: (input) => {
        const kind = (input[0] ?? 0) % 3;
        const bytes = input.subarray(1);
        if (kind === 0)
          return JOBS.map((job) => readingOf(job, Buffer.from(bytes).toString())).join(" ");
        const answer =
          kind === 1 ? readCompletion(Buffer.from(bytes).toString()) : readStreamed(bytes);
        const words = JSON.stringify(answer);
        assert(words.length < 8 * UPSTREAM_ANSWER_BYTES_MAX, "an answer has an end");
        return `${kind} ${Object.keys(answer).toSorted().join(" ")}`;
      },
    };
  },
};

function readingOf(job: (typeof JOBS)[number], content: string): string {
  return (["schema", "none"] as const)
    .map((kind) => {
      const reading = readAnswers(job, content, ["c1"], kind);
      if ("problem" in reading) return reading.problem.replaceAll(/[/\d].*$/g, "").slice(0, 40);
      assert.equal(reading.answers.length, 1, "one answer a case");
      assert.equal(reading.answers[0]!.id, "c1");
      return `${job} read`;
    })
    .join(", ");
}

/** In one piece, and byte by byte: the same. */
function readStreamed(bytes: Uint8Array): UpstreamAnswer {
  const atOnce = new EventStream();
  atOnce.add(bytes);
  const answer = atOnce.end();
  if (bytes.length < 2_000) {
    const slowly = new EventStream();
    for (const byte of bytes) slowly.add(Uint8Array.of(byte));
    assert.deepEqual(slowly.end(), answer, "it does not matter how it was cut");
  }
  return answer;
}
