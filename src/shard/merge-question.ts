/**
 * A slice of a merge: the windows of some of this shard's tenants as one, in the portable form.
 *
 * A merge may be of thousands of tenants, and a step of a shard must not be long. So a slice ends
 * after MERGE_SLICE_TENANTS_MAX tenants or MERGE_SLICE_MS_MAX, whichever is first, and says where
 * the next one begins; whatever waits in the ring goes between. The shard keeps nothing of it.
 */
import { MERGE_SLICE_MS_MAX, MERGE_SLICE_TENANTS_MAX } from "#model/limits.ts";
import type { MergeOmission } from "#model/merge.ts";
import type { Outcome } from "#model/outcome.ts";
import { hasSpan } from "#model/window.ts";
import assert from "node:assert/strict";
import type { MergeQuestion, MergeSlice } from "./protocol.ts";
import { failureOf } from "./refusal.ts";
import type { Shard } from "./shard.ts";
import { spansOf } from "./summary-questions.ts";
import { askTenant } from "./tenant-turn.ts";

export function mergeSlice(shard: Shard, question: MergeQuestion, nowMs: number): MergeSlice {
  const { merger, host } = shard.parts;
  assert(merger !== undefined, "this shard has no merger");
  const found = {
    tenants: [] as string[],
    unknown: [] as string[],
    omitted: [] as MergeOmission[],
  };
  merger.open(question.span);
  // Each tenant once, in the order of their numbers: few of the others lose their slots to them.
  host.pass(MERGE_SLICE_TENANTS_MAX);
  const endMs = performance.now() + MERGE_SLICE_MS_MAX;
  const walk = "tenants" in question ? walkNames(shard, question) : walkPrefix(shard, question);
  let next = -1;
  for (const { at, number, tenant } of walk) {
    const taken = found.tenants.length + found.omitted.length;
    if (at > question.from && (taken >= MERGE_SLICE_TENANTS_MAX || performance.now() > endMs)) {
      next = at;
      break;
    }
    if (number === NONE) continue;
    if (number === UNKNOWN) found.unknown.push(tenant);
    else {
      const code = mergeOne(shard, question, number, nowMs);
      if (code === undefined) found.tenants.push(tenant);
      else found.omitted.push({ tenant, code });
    }
  }
  host.pass(0);
  const sketch = found.tenants.length > 0 ? merger.sketch() : undefined;
  return { sketch, ...found, next };
}

const UNKNOWN = -1;
/** A tenant that is not asked for: the walk passes it, and time with it. */
const NONE = -2;

/** `at`: where the walk stands, for a slice that begins there. */
type Stop = { readonly at: number; readonly number: number; readonly tenant: string };

function* walkNames(
  shard: Shard,
  { tenants, from }: { tenants: readonly string[]; from: number },
): Generator<Stop> {
  for (let at = from; at < tenants.length; at++) {
    const tenant = tenants[at]!;
    yield { at, number: shard.find(tenant), tenant };
  }
}

/** Numbers beyond a stop's multiple are names that were looked at and did not match. */
const LOOK_TENANTS = 1_024;

function* walkPrefix(
  shard: Shard,
  { prefix, from }: { prefix: string; from: number },
): Generator<Stop> {
  const { batcher } = shard.parts;
  for (let at = from; at < batcher.tenantCount; at++) {
    const tenant = batcher.tenantName(at);
    if (shard.isLive(at) && tenant.startsWith(prefix)) yield { at, number: at, tenant };
    else if (at % LOOK_TENANTS === 0) yield { at, number: NONE, tenant };
  }
}

/** Why the tenant is left out; undefined: it is in. */
function mergeOne(
  shard: Shard,
  { span }: MergeQuestion,
  number: number,
  nowMs: number,
): MergeOmission["code"] | undefined {
  if (!hasSpan(spansOf(shard, number), span)) return "windowOff";
  const { outcome, report } = askTenant(shard, number, nowMs, (host) => host.sketch(number, span));
  if (report === undefined) return omissionOf(outcome);
  // A component of somebody else may say anything; what is no sketch is its failure alone.
  return shard.parts.merger!.add(report) === undefined ? undefined : "guestFailed";
}

function omissionOf(outcome: Outcome): MergeOmission["code"] {
  const { code } = failureOf("", outcome);
  return code === "tenantQuarantined" || code === "memoryFull" ? code : "guestFailed";
}
