/** Commands that ask a running server about one tenant. */
import { SUMMARY_LIMIT_DEFAULT } from "#model/limits.ts";
import { REVIEW_STATES } from "#model/review.ts";
import { WINDOWS } from "#model/window.ts";
import { type Command, Option } from "commander";
import { integerFrom, parseTenant, parseUrl, parseWindow } from "./arguments.ts";
import { addressOf, type ConfigFlags, configOf, example, withConfig } from "./config-flags.ts";

export function addTap(program: Command): void {
  const command = program
    .command("tap")
    .argument("<tenant>", "its id", parseTenant)
    .summary("follow what is trending in a tenant")
    .description("Follows a tenant: prints its window whenever it changes, until Ctrl-C.")
    .option("--url <url>", "of the server, if not the configured one", parseUrl)
    .option("--limit <number>", "stop after so many updates", integerFrom(1))
    .option("--json", "one JSON object a line")
    .addHelpText(
      "after",
      example("nexuscore tap acme", "nexuscore tap acme --json | jq .tldr.text"),
    )
    .action(
      async (
        tenant: string,
        options: ConfigFlags & { url?: string; limit?: number; json?: boolean },
      ) => {
        const { tap } = await import("./tap.ts");
        const { limit = Infinity, json } = options;
        const url = options.url ?? (await addressOf(configOf(options)));
        await tap({ url, tenant, limit, json: json === true });
      },
    );
  withConfig(command, ["httpHost", "httpPort"]);
}

const ONE_CONVERSATION = new Option("--conversation <id>", "one conversation, not a window");
ONE_CONVERSATION.conflicts(["window", "limit", "csv"]);

type SummaryFlags = ConfigFlags & {
  url?: string;
  window?: string;
  conversation?: string;
  limit?: number;
  json?: boolean;
  csv?: boolean;
};

export function addSummary(program: Command): void {
  const windows = WINDOWS.join(", ");
  const command = program
    .command("summary")
    .argument("<tenant>", "its id", parseTenant)
    .summary("show what has happened in a tenant")
    .description("Shows counts, rates, people, metrics, terms and the text of a window.")
    .option("--url <url>", "of the server, if not the configured one", parseUrl)
    .option("--window <name>", `one of ${windows} (default: 60s)`, parseWindow)
    .addOption(ONE_CONVERSATION)
    .option("--limit <number>", "terms at most (default: 10)", integerFrom(1))
    .addOption(new Option("--json", "one JSON object").conflicts("csv"))
    .option("--csv", "one row a number")
    .addHelpText(
      "after",
      example(
        "nexuscore summary acme",
        "nexuscore summary acme --window 1h --csv",
        "nexuscore summary acme --conversation general",
      ),
    )
    .action(async (tenant: string, options: SummaryFlags) => {
      const {
        window = "60s",
        limit = SUMMARY_LIMIT_DEFAULT,
        conversation: id,
        json,
        csv,
      } = options;
      const url = options.url ?? (await addressOf(configOf(options)));
      if (id !== undefined) {
        const { conversation } = await import("./conversation.ts");
        return conversation({ url, tenant, id, isJson: json === true });
      }
      const { summary } = await import("./summary.ts");
      const format = csv === true ? "csv" : json === true ? "json" : "text";
      await summary({ url, tenant, window, limit, format });
    });
  withConfig(command, ["httpHost", "httpPort"]);
}

type ReviewsFlags = ConfigFlags & {
  url?: string;
  state: string;
  degraded?: boolean;
  notReviewed?: boolean;
  limit: number;
  json?: boolean;
};

export function addReviews(program: Command): void {
  const states = [...REVIEW_STATES, "all"];
  const command = program
    .command("reviews")
    .argument("<tenant>", "its id", parseTenant)
    .summary("show what waits for a decision")
    .description("Shows the review queue, the worst first, and how it stands.")
    .option("--url <url>", "of the server, if not the configured one", parseUrl)
    .addOption(new Option("--state <name>", "which items").choices(states).default("pending"))
    .option("--degraded", "only those that a language model was to judge, and did not")
    .option("--not-reviewed", "all messages that a language model did not judge, flagged or not")
    .option("--limit <number>", "items at most, 200 of them", integerFrom(1), 20)
    .option("--json", "one JSON object a line")
    .addHelpText("after", example("nexuscore reviews acme", "nexuscore reviews acme --json"))
    .action(async (tenant: string, options: ReviewsFlags) => {
      const { reviews } = await import("./reviews.ts");
      const { state, limit } = options;
      const url = options.url ?? (await addressOf(configOf(options)));
      const degraded = options.degraded === true;
      const notReviewed = options.notReviewed === true;
      const json = options.json === true;
      await reviews({ url, tenant, state, limit, degraded, notReviewed, json });
    });
  withConfig(command, ["httpHost", "httpPort"]);
}

type ModerateFlags = ConfigFlags & {
  url?: string;
  conversation?: string;
  user?: string;
  role?: string;
  language?: string;
  store: boolean;
  json?: boolean;
};

export function addModerate(program: Command): void {
  const command = program
    .command("moderate")
    .argument("<tenant>", "its id", parseTenant)
    .argument("[text...]", "what is said; without one, each line of stdin is a message")
    .summary("judge a text, or lines of text")
    .description("Asks for verdicts on a text, or on each line of standard input.")
    .option("--url <url>", "of the server, if not the configured one", parseUrl)
    .option("--conversation <id>", "read and remember what is said in it")
    .option("--user <name>", "who says it")
    .option("--role <name>", "the user's role, as the tenant's policy names it")
    .option("--language <tag>", "such as en (default: detected)")
    .option("--no-store", "leave no trace of it")
    .option("--json", "one JSON object a message")
    .addHelpText(
      "after",
      example("nexuscore moderate acme you are great", "nexuscore moderate acme < chat.txt"),
    )
    .action(async (tenant: string, words: string[], options: ModerateFlags) => {
      const { moderate } = await import("./moderate.ts");
      const { conversation, user, role, language, store, json } = options;
      const url = options.url ?? (await addressOf(configOf(options)));
      const message = {
        conversation,
        user,
        role,
        language,
        ...(store ? {} : { doNotStore: true }),
      };
      const text = words.join(" ");
      await moderate({ url, tenant, text, message, json: json === true, input: process.stdin });
    });
  withConfig(command, ["httpHost", "httpPort"]);
}
