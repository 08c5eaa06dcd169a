/**
 * An engine whose work has spans. Who traces nothing has the engine itself, so that this costs
 * nothing then. What its threads do on their own is in metrics; a span lasts from the question to
 * the answer, rings, turn and disk included.
 */
import type { Facts, Tracing } from "#observe/tracing.ts";
import type { EngineDoor, LlmDoor } from "./door.ts";

/** What a call of a method is called, and what may be told of it. */
type Traced = {
  readonly name: string;
  readonly facts: (args: readonly never[]) => Facts;
  readonly result?: (value: never) => Facts;
};

const TENANT = "nexuscore.tenant";

function question(what: string): Traced {
  return {
    name: "nexuscore.question",
    facts: ([tenant]: readonly unknown[]) => ({
      "nexuscore.question": what,
      ...(typeof tenant === "string" ? { [TENANT]: tenant } : {}),
    }),
  };
}

const METHODS: Readonly<Partial<Record<keyof EngineDoor, Traced>>> = {
  offer: {
    name: "nexuscore.ingest",
    facts: ([offer]: readonly Parameters<EngineDoor["offer"]>[0][]) => ({
      ...(offer?.tenant === undefined ? {} : { [TENANT]: offer.tenant }),
      "nexuscore.bytes": offer?.body.length ?? 0,
    }),
    result: ({ accepted, rejected }: Awaited<ReturnType<EngineDoor["offer"]>>) => ({
      "nexuscore.accepted": accepted,
      "nexuscore.rejected": rejected,
    }),
  },
  moderate: {
    name: "nexuscore.moderate",
    facts: ([tenant, requests]: readonly unknown[]) => ({
      [TENANT]: String(tenant),
      "nexuscore.messages": (requests as readonly unknown[]).length,
    }),
  },
  trending: question("trending"),
  summary: question("summary"),
  conversations: question("conversations"),
  conversation: question("conversation"),
  turns: question("turns"),
  sketch: question("sketch"),
  inspect: question("inspect"),
  tenants: { name: "nexuscore.question", facts: () => ({ "nexuscore.question": "tenants" }) },
  mergeSummaries: { name: "nexuscore.question", facts: () => ({ "nexuscore.question": "merge" }) },
  putPolicy: { name: "nexuscore.policy", facts: ([tenant]) => ({ [TENANT]: String(tenant) }) },
};

export function tracedEngine<Door extends EngineDoor>(engine: Door, tracing: Tracing): Door {
  let llm: LlmDoor | undefined;
  return tracedBy(engine, tracing, METHODS as Table, (name) => {
    if (name !== "llm" || engine.llm === undefined) return undefined;
    return (llm ??= tracedLlm(engine.llm, tracing));
  });
}

/** Attributes have the names that OpenTelemetry gave them for what generates text. */
function tracedLlm(llm: LlmDoor, tracing: Tracing): LlmDoor {
  type Ended = Awaited<ReturnType<LlmDoor["ask"]>>;
  const ask = async (...args: Parameters<LlmDoor["ask"]>): Promise<Ended> => {
    const [tenant, job] = args;
    const model = llm.models[job] ?? "";
    const facts = {
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "openai",
      "gen_ai.request.model": model,
      "nexuscore.job": job,
      [TENANT]: tenant,
    };
    const result = ({ end }: Ended): Facts =>
      "failure" in end
        ? { "error.type": end.failure }
        : { "nexuscore.cached": end.isCached, "gen_ai.output.type": "json" };
    return tracing.span(`chat ${model}`, facts, async () => llm.ask(...args), {
      isCall: true,
      result,
    });
  };
  return tracedBy(llm, tracing, {}, (name) => (name === "ask" ? ask : undefined));
}

type Table = Readonly<Record<string, Traced | undefined>>;

/** Methods keep their object, whose private fields a proxy does not have. */
function tracedBy<T extends object>(
  object: T,
  tracing: Tracing,
  methods: Table,
  instead: (name: string) => unknown,
): T {
  const known = new Map<string | symbol, unknown>();
  return new Proxy(object, {
    set: (target, name, value) => Reflect.set(target, name, value, target),
    get: (target, name) => {
      const own = typeof name === "string" ? instead(name) : undefined;
      if (own !== undefined) return own;
      if (known.has(name)) return known.get(name);
      const value: unknown = Reflect.get(target, name, target);
      // What is no method may change.
      if (typeof value !== "function") return value;
      const traced = typeof name === "string" ? methods[name] : undefined;
      const call = (...args: never[]): unknown => Reflect.apply(value, target, args);
      const of = traced?.result === undefined ? {} : { result: traced.result };
      const method =
        traced === undefined
          ? call
          : async (...args: never[]) =>
              tracing.span(traced.name, traced.facts(args), async () => call(...args) as never, of);
      known.set(name, method);
      return method;
    },
  });
}
