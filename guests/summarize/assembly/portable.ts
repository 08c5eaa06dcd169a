// The state of a tenant in portable form (guests/sdk/assembly/portable.ts): one section for each
// structure, as the module that owns it lays it out, without addresses.
//
//    1 tenant       u8 clock, tier, started, spans; u32 first pane; f64 as of, watermark;
//                   u64 event number; u32 duplicates, repeated; f32 windows, least quote;
//                   u32 doubted pane, resting; u16[9] capacities of the tier
//    2 timeline     timeline.ts, then its weights             10 slots of terms and what is usual
//    3 rates        rates.ts                                  11 users, ids, sayings, quotes,
//    4 users        user-spans.ts, without the list              baseline, index, ledger, rows of
//    5 terms        head of term-spans.ts                        terms: 11 to 18, tiers.ts
//    6 table        header of space-saving.ts                 20 what a tenant at rest has packed
//    7 bitmap       aged-bitmap.ts                            21 rows of terms in a page apart
//    8 UltraLogLog  ultra-log-log.ts                          22 conversations and texts
//                                                             23 metrics: head  24 the rest
//
// An array of another capacity, or whose elements are laid out otherwise, is another version of its
// section or another shape of a tier: then this file gets a reader for what was before. There is
// one already, of a timeline that knew no weights.
import { alloc } from "../../sdk/assembly/arena";
import {
  hasSize, openError, openPart, openWalk, Part, place, refuseKind, refuseVersion, tellImported,
  tellPart, Walk, wholeOf, WORLD_SUMMARIZER,
} from "../../sdk/assembly/portable";
import { AGED_BITMAP_BYTES } from "../../sdk/assembly/sketches/aged-bitmap";
import { RATES_BYTES } from "../../sdk/assembly/sketches/rates";
import { SPACE_SAVING_BYTES } from "../../sdk/assembly/sketches/space-saving";
import { FAR_ROWS_BYTES, TERM_SPANS_HEAD_BYTES } from "../../sdk/assembly/sketches/term-spans";
import {
  TIMELINE_BYTES, TIMELINE_FORMER_BYTES, WEIGHTS_BYTES,
} from "../../sdk/assembly/sketches/timeline";
import { ULTRA_BYTES, USERS_HEAD_BYTES } from "../../sdk/assembly/sketches/user-spans";
import { Writer } from "../../sdk/assembly/writer";
import { METRICS_HEAD_BYTES } from "./metric-state";
import {
  BITMAP, conversations, CONVERSATIONS_BYTES, metrics, METRICS_BYTES, rates, state, table,
  termSpans, timeline, ULTRA, users,
} from "./state";
import {
  GROUP_COUNT, groupAt, groupBytes, openTier, restAt, restBytes, TIER_BYTES, tierShape, usersRoom,
} from "./tiers";

const TENANT: u16 = 1;
const TIMELINE: u16 = 2;
const RATES: u16 = 3;
const USERS: u16 = 4;
const TERMS: u16 = 5;
const TABLE: u16 = 6;
const USERS_BITMAP: u16 = 7;
const USERS_ULTRA: u16 = 8;
/** And the groups of arrays after it. */
const ARRAYS: u16 = 10;
const RESTING: u16 = 20;
const FAR_ROWS: u16 = 21;
const CONVERSATIONS: u16 = 22;
const METRICS_HEAD: u16 = 23;
const METRICS: u16 = 24;

const VERSION: u16 = 1;
/** Of a timeline that knew no weights. */
const VERSION_FORMER: u16 = 0;
const TENANT_BYTES: u32 = 56 + TIER_BYTES;
const TIMES_BYTES: u32 = TIMELINE_BYTES + WEIGHTS_BYTES;

export function exportState(part: u32): usize {
  const walk = openWalk(part);
  if (state().version != 0) tellSections(walk);
  return tellPart(walk, part, WORLD_SUMMARIZER);
}

export function importState(at: usize, bytes: usize): usize {
  const error = openError();
  const part = openPart(at, bytes, WORLD_SUMMARIZER, error);
  if (part != null) take(part, error);
  return tellImported(error, bytes == 0);
}

function tellSections(walk: Walk): void {
  walk.section(TENANT, VERSION, tenant(), TENANT_BYTES);
  walk.section(TIMELINE, VERSION, changetype<usize>(timeline()), TIMES_BYTES);
  walk.section(RATES, VERSION, changetype<usize>(rates()), RATES_BYTES);
  const people = alloc(USERS_HEAD_BYTES);
  users().exportHead(people);
  walk.section(USERS, VERSION, people, USERS_HEAD_BYTES);
  const terms = alloc(TERM_SPANS_HEAD_BYTES);
  termSpans().exportHead(terms);
  walk.section(TERMS, VERSION, terms, TERM_SPANS_HEAD_BYTES);
  const slots = alloc(SPACE_SAVING_BYTES);
  table().exportHead(slots);
  walk.section(TABLE, VERSION, slots, SPACE_SAVING_BYTES);
  if (users().poured) {
    walk.section(USERS_BITMAP, VERSION, BITMAP, AGED_BITMAP_BYTES);
    walk.section(USERS_ULTRA, VERSION, ULTRA, ULTRA_BYTES);
  }
  for (let group: u32 = 0; group < GROUP_COUNT; group++)
    walk.section(<u16>(ARRAYS + group), VERSION, groupAt(group), groupBytes(group));
  if (state().rest != 0) walk.section(RESTING, VERSION, restAt(), restBytes());
  if (termSpans().isSpread) walk.section(FAR_ROWS, VERSION, termSpans().farRows, FAR_ROWS_BYTES);
  const said = conversations();
  if (said.used != 0 || said.own.used != 0 || said.evictions != 0)
    walk.section(CONVERSATIONS, VERSION, changetype<usize>(said), CONVERSATIONS_BYTES);
  if (metrics().bytes != 0) tellMetrics(walk);
}

function tellMetrics(walk: Walk): void {
  const head = alloc(METRICS_HEAD_BYTES, 16);
  metrics().exportHead(head);
  walk.section(METRICS_HEAD, VERSION, head, METRICS_HEAD_BYTES);
  walk.section(
    METRICS, VERSION, metrics().base + METRICS_HEAD_BYTES, METRICS_BYTES - METRICS_HEAD_BYTES,
  );
}

function take(part: Part, error: Writer): void {
  const kind = part.kind;
  const isFormer = kind == TIMELINE && part.version == VERSION_FORMER;
  if (part.version != VERSION && !isFormer) refuseVersion(error, part);
  else if (kind == TENANT) takeTenant(part, error);
  else if (state().version == 0) error.literal("Its first section is not the tenant's.");
  else if (isFormer) takeFormerTimeline(part, error);
  else if (kind == USERS || kind == TERMS || kind == TABLE || kind == METRICS_HEAD)
    takeHead(part, error);
  else takeRegion(part, error);
}

/** What is copied as it lies. */
function takeRegion(part: Part, error: Writer): void {
  const kind = part.kind;
  if (kind == TIMELINE) place(error, part, changetype<usize>(timeline()), TIMES_BYTES);
  else if (kind == RATES) place(error, part, changetype<usize>(rates()), RATES_BYTES);
  else if (kind == USERS_BITMAP) place(error, part, BITMAP, AGED_BITMAP_BYTES);
  else if (kind == USERS_ULTRA) place(error, part, ULTRA, ULTRA_BYTES);
  else if (kind >= ARRAYS && kind < ARRAYS + GROUP_COUNT) {
    const group = <u32>(kind - ARRAYS);
    place(error, part, groupAt(group), groupBytes(group));
  } else if (kind == RESTING && state().rest != 0) place(error, part, restAt(), restBytes());
  else if (kind == FAR_ROWS && termSpans().isSpread)
    place(error, part, termSpans().farRows, FAR_ROWS_BYTES);
  else if (kind == CONVERSATIONS)
    place(error, part, changetype<usize>(conversations()), CONVERSATIONS_BYTES);
  else if (kind == METRICS)
    place(error, part, metrics().base + METRICS_HEAD_BYTES, METRICS_BYTES - METRICS_HEAD_BYTES);
  else refuseKind(error, part);
}

/** What stands beside addresses. */
function takeHead(part: Part, error: Writer): void {
  const kind = part.kind;
  const bytes = kind == USERS ? USERS_HEAD_BYTES
    : kind == TERMS ? TERM_SPANS_HEAD_BYTES
    : kind == TABLE ? SPACE_SAVING_BYTES : METRICS_HEAD_BYTES;
  if (!hasSize(error, part, bytes)) return;
  const whole = wholeOf(part);
  let fits = true;
  if (kind == USERS) fits = users().importHead(whole, usersRoom());
  else if (kind == TERMS) fits = termSpans().importHead(whole);
  else if (kind == TABLE) fits = table().importHead(whole);
  else fits = metrics().importHead(whole, METRICS_BYTES);
  if (!fits) error.literal("Section ").number(kind).literal(" is of other capacities.");
}

function takeFormerTimeline(part: Part, error: Writer): void {
  if (hasSize(error, part, TIMELINE_FORMER_BYTES)) timeline().importFormer(wholeOf(part));
}

function tenant(): usize {
  const it = state();
  const at = alloc(TENANT_BYTES);
  store<u8>(at, it.clock);
  store<u8>(at, it.tier, 1);
  store<u8>(at, it.started, 2);
  store<u8>(at, it.spans, 3);
  store<u32>(at, it.firstPane, 4);
  store<f64>(at, it.asOfMs, 8);
  store<f64>(at, it.watermarkMs, 16);
  store<u64>(at, it.eventNumber, 24);
  store<u32>(at, it.duplicateCount, 32);
  store<u32>(at, it.repeatedCount, 36);
  store<f32>(at, it.windows, 40);
  store<f32>(at, it.quoteScoreLeast, 44);
  store<u32>(at, it.doubtedPane, 48);
  store<u32>(at, it.rest != 0 ? 1 : 0, 52);
  memory.copy(at + 56, tierShape(it.tier), TIER_BYTES);
  return at;
}

function takeTenant(part: Part, error: Writer): void {
  const it = state();
  if (it.version != 0) error.literal("Only a component on which nothing was called takes a state.");
  if (error.length != 0 || !hasSize(error, part, TENANT_BYTES)) return;
  const at = wholeOf(part);
  if (!openTier(load<u8>(at, 1), at + 56)) {
    error.literal("Tier ").number(load<u8>(at, 1)).literal(" is of other capacities.");
    return;
  }
  it.version = 1;
  it.clock = load<u8>(at);
  it.started = load<u8>(at, 2);
  it.spans = load<u8>(at, 3);
  it.firstPane = load<u32>(at, 4);
  it.asOfMs = load<f64>(at, 8);
  it.watermarkMs = load<f64>(at, 16);
  it.eventNumber = load<u64>(at, 24);
  it.duplicateCount = load<u32>(at, 32);
  it.repeatedCount = load<u32>(at, 36);
  it.windows = load<f32>(at, 40);
  it.quoteScoreLeast = load<f32>(at, 44);
  it.doubtedPane = load<u32>(at, 48);
  if (load<u32>(at, 52) != 0) it.rest = <u32>restAt();
}
