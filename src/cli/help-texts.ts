/** Longer texts of the commands' help, and words of its options. */
export const REPLAY_HELP = `
Formats, told apart by name and content:
  IRC    [HH:MM] <nick> text, [HH:MM]  * nick action; the date from the file's
         name
  JSONL  one object a line: text, user, tsMs (also ts, time, date; ms, s or
         ISO 8601), tenant or channel, conversation, id
  CSV    a header with the same names

Each channel becomes a tenant: --tenant, else the record's tenant or channel,
else the name of the file, or of its folder where a file is named after a date.
The log's own time moves the window. Feeds the server at the configured address
if one runs, else one of its own for the time of the replay.`;

export const STAND_IN_HELP = `
It takes any key, or only that of NEXUSCORE_STAND_IN_API_KEY, if it is set.`;

export const LLM_HELP = `
What names an upstream may differ by job: --llm-tldr-model, --llm-rolling-model
and so on; nexuscore config print --default lists them all. The key is never a
flag: set NEXUSCORE_LLM_API_KEY, or name a file with --llm-api-key-file.`;

/** What the value of an option is called, by its kind. */
export const VALUE_WORDS = {
  integer: "number",
  decimal: "number",
  bound: "number",
  bytes: "bytes",
  text: "text",
  choice: "name",
  list: "names",
  url: "url",
  object: "json",
} as const;
