/** `nexuscore tap`: follows a tenant's live updates. */
import type { TrendingAnswer } from "#model/trending-answer.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { renderCard } from "./card.ts";
import { answerError, keyAdvice, keyOfEnvironment, unreachable, withKey } from "./client.ts";
import { readEventStream } from "./event-stream.ts";
import { CliError, print, printJson, say } from "./terminal.ts";

export type TapOptions = {
  readonly url: string;
  readonly tenant: string;
  readonly json: boolean;
  /** Updates after which it ends. */
  readonly limit: number;
};

const RECONNECT_MS = 2_000;

export async function tap({ url, tenant, json, limit }: TapOptions): Promise<void> {
  let lastId = "";
  let updates = 0;
  for (let connected = false; ;) {
    try {
      const response = await connect(
        `${url}/v1/tenants/${encodeURIComponent(tenant)}/live?summary=off`,
        lastId,
      );
      connected = true;
      for await (const event of readEventStream(response)) {
        if (event.name === "problem") throw new CliError(problemLine(event.data));
        if (event.name !== "trending") continue;
        lastId = event.id;
        show(JSON.parse(event.data) as TrendingAnswer, json);
        updates += 1;
        if (updates >= limit) return;
      }
    } catch (error) {
      if (error instanceof CliError) throw error;
      if (!connected) throw unreachable(url, error);
    }
    say("connection lost; trying again");
    await sleep(RECONNECT_MS);
  }
}

async function connect(url: string, lastId: string): Promise<AsyncIterable<Uint8Array>> {
  const headers: Record<string, string> = { accept: "text/event-stream" };
  if (lastId !== "") headers["last-event-id"] = lastId;
  const response = await fetch(url, withKey({ headers }, keyOfEnvironment()));
  if (response.ok && response.body !== null) return response.body;
  const error = await answerError(response);
  // The server is there but cannot now: that passes, and is tried again once it has worked.
  if (response.status === 503 && lastId !== "") throw new Error(error.message);
  throw new CliError(`${error.code}: ${error.message}${keyAdvice(error.status)}`);
}

function show(answer: TrendingAnswer, json: boolean): void {
  if (json) printJson(answer);
  else print(renderCard(answer, { time: new Date(answer.asOfMs).toISOString().slice(11, 19) }));
}

function problemLine(data: string): string {
  const { code, detail } = JSON.parse(data) as { code: string; detail: string };
  return `${code}: ${detail}`;
}
