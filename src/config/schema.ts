/**
 * The JSON Schema of the file of options, from the same table as everything else: editors complete
 * and explain by it. What it takes, the server takes; the server takes some more, such as numbers
 * in quotes, and checks what is between options.
 */
import { optionGroups } from "./groups.ts";
import { defaultOf, optionSpec, type OptionName, UNLIMITED, writtenValue } from "./options.ts";

/** Where the repository has it, and where a printed file of options looks for it. */
export const SCHEMA_FILE = "config.schema.json";

type Schema = Readonly<Record<string, unknown>>;

export function configSchema(): Schema {
  const properties = optionGroups().flatMap(({ names }) =>
    names.map((name) => [name, propertyOf(name)] as const),
  );
  return {
    // That of editors: they know no later one in YAML.
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "NexusCore options",
    description: "The file of nexuscore --config, by default nexuscore.yaml.",
    type: "object",
    additionalProperties: false,
    properties: Object.fromEntries(properties),
  };
}

export function schemaText(): string {
  return `${JSON.stringify(configSchema(), undefined, 2)}\n`;
}

function propertyOf(name: OptionName): Schema {
  const spec = optionSpec(name);
  const { sentence, unit, environment, flag, defaultWords, reload } = spec;
  const words = [
    sentence,
    unit === undefined ? "" : `Unit: ${unit}.`,
    defaultWords === undefined ? "" : `Default: ${defaultWords}.`,
    `${environment}, ${flag}.`,
    reload === true ? "A running server takes it upon SIGHUP." : "",
  ];
  return {
    description: words.filter((word) => word !== "").join(" "),
    ...(defaultWords === undefined ? { default: writtenValue(defaultOf(name)) } : {}),
    ...typeOf(name),
  };
}

function typeOf(name: OptionName): Schema {
  const { kind, min, max, choices = [], mayBeEmpty } = optionSpec(name);
  switch (kind) {
    case "integer":
      return { type: "integer", minimum: min, maximum: max };
    case "bytes":
      return {
        anyOf: [
          { type: "integer", minimum: min, maximum: max },
          { type: "string", pattern: "^[0-9]+ ?([KkMmGg][Ii])?[Bb]$" },
        ],
      };
    case "decimal":
      return { type: "number", minimum: 0 };
    case "bound":
      return { anyOf: [{ type: "number", minimum: 0 }, { const: UNLIMITED }] };
    case "choice":
      return { enum: choices };
    case "list":
      return {
        anyOf: [
          { type: "array", items: { enum: choices }, minItems: 1 },
          { type: "string", pattern: `^(${choices.join("|")})(, ?(${choices.join("|")}))*$` },
        ],
      };
    case "text":
      return mayBeEmpty === true ? { type: "string" } : { type: "string", minLength: 1 };
    case "url":
      return { type: "string", pattern: "^(https?://[^?#@\\s]+)?$" };
    case "object":
      return { anyOf: [{ type: "object" }, { const: "" }] };
  }
}
