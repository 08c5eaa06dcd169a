/** Answers to questions about what a tenant's moderator remembers. */
import assert from "node:assert/strict";
import type { ModeratorUsage, Turn } from "#model/moderation.ts";
import type { Question } from "./protocol.ts";
import { type Refusal, unknownTenant } from "./refusal.ts";
import type { Shard } from "./shard.ts";

const NO_USAGE: ModeratorUsage = {
  conversationCount: 0,
  turnCount: 0,
  stateBytes: 0,
  evictedCount: 0,
  judgedCount: 0,
};

export function turns(
  shard: Shard,
  { tenant, conversation }: Question & { type: "turns" },
): readonly Turn[] | Refusal {
  const number = shard.find(tenant);
  return moderationOf(shard).ask<readonly Turn[]>(number, tenant, [], (host) =>
    host.conversation(number, conversation),
  );
}

export function forgetConversation(
  shard: Shard,
  { tenant, conversation }: Question & { type: "forgetConversation" },
): boolean | Refusal {
  const number = shard.find(tenant);
  return moderationOf(shard).ask(number, tenant, false, (host) =>
    host.forget(number, conversation),
  );
}

export function moderatorUsage(
  shard: Shard,
  { tenant }: Question & { type: "moderatorUsage" },
): ModeratorUsage | Refusal {
  const number = shard.find(tenant);
  if (number === -1) return unknownTenant(tenant);
  return moderationOf(shard).ask(number, tenant, NO_USAGE, (host) => host.usage(number));
}

function moderationOf(shard: Shard): NonNullable<Shard["moderation"]> {
  assert(shard.moderation !== undefined, "this shard has no moderators");
  return shard.moderation;
}
