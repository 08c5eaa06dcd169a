/** Who is let in by a server: its keys, its provider of tokens, and what is open without either. */
import { corsOriginsOf, isLoopbackHost } from "#config/access-checks.ts";
import { ConfigError } from "#config/config-error.ts";
import type { LiveConfig } from "#config/live.ts";
import { type Config, defaultOf } from "#config/options.ts";
import { AccessBooks } from "#keys/access-books.ts";
import type { AccessParts } from "#keys/access-hooks.ts";
import { KeyDesk } from "#keys/key-desk.ts";
import { KeyError } from "#keys/key-table.ts";
import { Tokens } from "#keys/tokens.ts";
import type { Log } from "#observe/log.ts";
import { IN_MEMORY } from "#review/database.ts";
import { readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";

const KEYS_FILE = "keys.db";
/** A key has 66 characters; a larger file is something else. */
const KEY_FILE_CHARACTERS_MAX = 256;
/** Of a file's mode. */
const OTHERS_READ = 0o004;

type GuardParts = {
  readonly desk: KeyDesk;
  readonly log: Log;
  readonly tokens?: Tokens | undefined;
  readonly books?: AccessBooks;
  readonly isLoopback?: boolean;
  readonly nowMs?: () => number;
  /** Of which the origins are taken. */
  readonly config?: Config;
  readonly metricsAccess?: "watch" | "public";
};

export class Guard {
  readonly desk: KeyDesk;
  readonly books: AccessBooks;
  readonly access: AccessParts;
  readonly metricsAccess: "watch" | "public";
  #origins: readonly string[];

  constructor(parts: GuardParts) {
    const { desk, log, tokens, books = new AccessBooks() } = parts;
    this.desk = desk;
    this.books = books;
    this.#origins = parts.config === undefined ? [] : corsOriginsOf(parts.config);
    this.metricsAccess = parts.metricsAccess ?? "watch";
    this.access = {
      keys: desk.ring,
      tokens,
      isLoopback: parts.isLoopback ?? true,
      ...(parts.nowMs === undefined ? {} : { nowMs: parts.nowMs }),
      onRefusal: (refusal, address) => {
        books.refused[refusal] += 1;
        log.debug({ refusal, address }, "not let in");
      },
      onFormer: (name) => {
        books.former += 1;
        log.debug({ key: name }, "a rotated secret was used");
      },
      onTooMany: (address) => {
        log.warn({ address }, "many keys that open nothing; the address has to wait");
      },
    };
  }

  readonly corsOrigins = (): readonly string[] => this.#origins;

  /** Without keys, on this machine alone: for tests, and for servers that nobody else sees. */
  static open(log: Log): Guard {
    return new Guard({ desk: new KeyDesk(IN_MEMORY), log });
  }

  /** Throws where others would be let in without a key, and where keys cannot be read. */
  static ofConfig(config: Config, log: Log): Guard {
    const desk = new KeyDesk(keysPath(config));
    try {
      adoptBootstrapKey(desk, config, log);
      const books = new AccessBooks();
      const tokens = tokensOf(config, books, log);
      const isLoopback = isLoopbackHost(config.httpHost);
      if (!isLoopback && desk.ring.isEmpty && tokens === undefined) throw openToAll(config);
      const metricsAccess = config.metricsAccess === "open" ? "public" : "watch";
      return new Guard({ desk, log, tokens, books, isLoopback, metricsAccess, config });
    } catch (error) {
      desk.close();
      throw error;
    }
  }

  /** Whose pages may ask may change while the server runs. */
  follow(live: LiveConfig): void {
    live.onChange((config) => (this.#origins = corsOriginsOf(config)));
  }

  get isOpen(): boolean {
    return this.access.keys.isEmpty && this.access.tokens === undefined;
  }

  close(): void {
    this.desk.close();
  }
}

export function keysPath({ dataDir }: Pick<Config, "dataDir">): string {
  return dataDir === IN_MEMORY ? IN_MEMORY : join(resolve(dataDir), KEYS_FILE);
}

/**
 * Datagrams carry no key: where others than this machine's people may reach the server they are
 * taken only if somebody asked for them. Undefined: they are taken; else why not.
 */
export function datagramsOff(config: Config, guard: Guard): string | undefined {
  if (config.datagrams === "off") return "as configured";
  if (areAsked(config) || (guard.isOpen && guard.access.isLoopback)) return undefined;
  const why = guard.isOpen ? "HTTP is open to the network" : "there are keys";
  return `event datagrams carry no key, and ${why}; --datagrams on takes them`;
}

/** By hand: whoever sets an address or a port of them wants them. */
export function areAsked({ datagrams, udpHost, udpPort }: Config): boolean {
  const isSet = udpHost !== defaultOf("udpHost") || udpPort !== defaultOf("udpPort");
  return datagrams === "on" || (datagrams === "auto" && isSet);
}

/** What a server that would be open to others says, and what to do next. */
function openToAll({ httpHost, dataDir }: Config): ConfigError {
  const way =
    dataDir === IN_MEMORY
      ? "name a file with a key, as nexuscore key generate prints it: --bootstrap-key-file"
      : `make a key:\n  ${firstKeyCommand(dataDir)}\nor use --http-host 127.0.0.1`;
  return new ConfigError(
    "configContradictory",
    `${httpHost} is reached by others, and there is neither a key nor a provider of tokens; ${way}`,
  );
}

/** For the folder that it was asked about, wherever it is run. */
export function firstKeyCommand(dataDir: string): string {
  const folder = dataDir === defaultOf("dataDir") ? "" : ` --data-dir ${quoted(dataDir)}`;
  return `nexuscore key create --role admin --tenants '*'${folder}`;
}

function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function adoptBootstrapKey(desk: KeyDesk, config: Config, log: Log): void {
  const { bootstrapKeyFile: path } = config;
  if (path === "") return;
  let text: string;
  try {
    text = readFileSync(path, "utf8").trim();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" && !desk.ring.isEmpty) {
      // It did its work at an earlier start; a secret may be taken away then.
      log.info({ path }, "the file of the first key is gone; there are keys");
      return;
    }
    throw badKey(`bootstrapKeyFile: ${path} cannot be read: ${code ?? message}`);
  }
  try {
    if (text.length > KEY_FILE_CHARACTERS_MAX) throw new KeyError("It is too long for a key.");
    const isNew = desk.adopt(text, `file ${path}`);
    if (isNew) log.info({ path }, "an admin's key was taken from a file");
    if (isNew && (statSync(path).mode & OTHERS_READ) !== 0) {
      log.warn({ path }, "everybody on this machine may read the file of the admin's key");
    }
  } catch (error) {
    // What is in the file is in no message.
    if (error instanceof KeyError) throw badKey(`bootstrapKeyFile: ${path}: ${error.message}`);
    throw error;
  }
}

function badKey(message: string): ConfigError {
  return new ConfigError("configKey", message);
}

function tokensOf(config: Config, books: AccessBooks, log: Log): Tokens | undefined {
  const { oidcIssuer: issuer, oidcAudience: audience, oidcClaim: claim, oidcJwksUrl } = config;
  if (issuer === "") return undefined;
  return new Tokens({
    issuer,
    audience,
    claim,
    jwksUrl: oidcJwksUrl === "" ? undefined : oidcJwksUrl,
    onFailure: (reason) => {
      books.providerFailures += 1;
      log.warn({ reason }, "the identity provider cannot be asked for its keys");
    },
  });
}
