/** What a shard knows of a tenant beside its status: for who runs the server. */
import type { InspectedComponent } from "#model/inspection.ts";
import type { Shard } from "./shard.ts";

/** Of the components that are open. Writes their images first, which changes no tenant's state. */
export function inspectedComponents(shard: Shard, tenant: number): InspectedComponent[] {
  const { host, moderation } = shard.parts;
  const worlds = [
    { world: "summarizer" as const, host },
    { world: "moderator" as const, host: moderation?.host },
  ];
  return worlds.flatMap(({ world, host: own }) => {
    if (own === undefined || !own.isOpen(tenant)) return [];
    const stateHash = own.stateHash(tenant);
    return [
      {
        world,
        digest: Buffer.from(own.digestOf(tenant)).toString("hex"),
        imageBytes: own.imageBytes(tenant),
        stateHash,
        strikeCount: own.strikeCount(tenant),
        quarantined: own.quarantined(tenant),
      },
    ];
  });
}
