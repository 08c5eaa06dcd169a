/** The options by what they are about, in the order in which they are printed and documented. */
import { OPTION_NAMES, type OptionName } from "./options.ts";

export type OptionGroup = {
  readonly title: string;
  readonly sentence: string;
  readonly names: readonly OptionName[];
};

type Rule = {
  readonly title: string;
  readonly sentence: string;
  /** Of the names that belong here. */
  readonly pattern: RegExp;
};

/** The first whose pattern fits has the option. */
const RULES: readonly Rule[] = [
  {
    title: "Network",
    sentence: "Where the server listens, and who may come.",
    pattern: /^(http|udp|datagrams|connections)/,
  },
  {
    title: "Keys and walls",
    sentence: "Who is let in, beside those who have a key.",
    pattern: /^(cors|oidc|key|bootstrap|metricsAccess)/,
  },
  {
    title: "Storage",
    sentence: "What outlives the process, and when it is told to be on disk.",
    pattern: /^(dataDir|ack|log(Bytes)|recovery|snapshot|datagramLog|storage|backup)/,
  },
  {
    title: "Quotas",
    sentence: "What a tenant may take unless it has limits of its own.",
    pattern: /^quota/,
  },
  {
    title: "Engine",
    sentence: "Threads, memory and tenants.",
    pattern: /^(shard|slot|image|tenant|component)/,
  },
  {
    title: "Event datagrams",
    sentence: "How those are summed, in the kernel or beside it.",
    pattern: /^(kernel|turn|busy)/,
  },
  {
    title: "Language models",
    sentence: "Servers that are asked, and what may be spent on them.",
    pattern: /^llm(?!(Moderation|Tldr|Rolling)[A-Z])/,
  },
  {
    title: "Language models, by job",
    sentence: "The same for one job alone; each is as the common one unless it is set.",
    pattern: /^llm/,
  },
  {
    title: "Reviews",
    sentence: "Who is told of verdicts.",
    pattern: /^(webhook|review|audit)/,
  },
  {
    title: "Operation",
    sentence: "What is told of the process, and how it ends.",
    pattern: /^(logLevel|slow|drain|traces|metrics|health)/,
  },
];

const REST = "Other";

export function optionGroups(): OptionGroup[] {
  const byTitle = new Map<string, OptionName[]>();
  for (const name of OPTION_NAMES) {
    const title = RULES.find(({ pattern }) => pattern.test(name))?.title ?? REST;
    byTitle.set(title, [...(byTitle.get(title) ?? []), name]);
  }
  const rules = [...RULES, { title: REST, sentence: "What fits nowhere else." }];
  return rules.flatMap(({ title, sentence }) => {
    const names = byTitle.get(title);
    return names === undefined ? [] : [{ title, sentence, names }];
  });
}
