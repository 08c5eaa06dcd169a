/** Words that only one tenant has: where they are found, and where they must not be. */
import assert from "node:assert/strict";
import type { ModerationRequest } from "#model/moderation.ts";
import type { GlassModeratorHost } from "./moderating.ts";

/** Letters that no other tenant has: of its people, conversations, texts and list entries. */
export function canaryOf(tenant: number): string {
  return `zq${"abcdefgh"[tenant]}xkvw${"hgfedcba"[tenant]}jq`;
}

/** Every text that a tenant brings has its canary. */
export function withCanary(
  owner: number,
  request: Omit<ModerationRequest, "tsMs">,
): Omit<ModerationRequest, "tsMs"> {
  const canary = canaryOf(owner);
  const named = (name: string | undefined) => (name === undefined ? undefined : name + canary);
  return {
    ...request,
    conversation: named(request.conversation),
    user: named(request.user),
    text: `${request.text} ${canary}`,
    context: request.context?.map((turn) => ({
      user: named(turn.user),
      text: `${turn.text} ${canary}`,
    })),
  };
}

/** That no bytes that are a tenant's have a word of another of so many. */
export function checkOwn(bytes: Buffer, owner: number, tenantCount: number, what: string): void {
  for (let other = 0; other < tenantCount; other++) {
    if (other === owner) continue;
    assert.ok(!bytes.includes(canaryOf(other)), `${other} in ${what} of ${owner}`);
  }
}

/** The same of every memory and every image. */
export function checkCanaries(host: GlassModeratorHost, tenantCount: number): void {
  for (const { tenant, bytes } of host.memories()) {
    checkOwn(bytes, tenant, tenantCount, "the memory");
  }
  for (let owner = 0; owner < tenantCount; owner++) {
    checkOwn(host.image(owner), owner, tenantCount, "the image");
  }
}
