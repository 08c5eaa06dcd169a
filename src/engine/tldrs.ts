/**
 * The TL;DRs of windows that somebody looks at, in the words of an upstream.
 *
 * A look never waits. It is given the newest retelling, if that is of this pane or the one before
 * and still true (trending-record.ts), and it may begin the next one: at most one a tenant and
 * pane, never two at once, and none if nothing was said or all is as it was. Who looks again finds
 * it. So a tenant at which nobody looks is never told to anybody.
 */
import { PANE_MS, RETELLINGS_BYTES_MAX, TLDR_TERMS_MAX, TLDR_WAIT_MS_MAX } from "#model/limits.ts";
import type { ConsultationFailure } from "#model/consultation.ts";
import type { Retelling } from "#model/trending-answer.ts";
import type { TrendingReport, TrendOrder } from "#model/trending.ts";
import { Shelf } from "./shelf.ts";
import { BoundRetelling, TrendingRecord } from "./trending-record.ts";
import { askUpstream, type UpstreamDoor } from "./upstream-answer.ts";

export type TldrOptions = {
  readonly llm: UpstreamDoor;
  readonly trending: (
    tenant: string,
    options: { readonly limit: number; readonly order: TrendOrder },
  ) => Promise<TrendingReport>;
  readonly nowMs: () => number;
};

/** What the report that a look brings along was asked with. */
export type LookOptions = { readonly limit: number; readonly order: TrendOrder };

type Ending = {
  /** Of the record that was told. */
  readonly windowEndMs: number;
  readonly failure: ConsultationFailure;
};

type Tldr = {
  /** Newest retelling, the end of the window that it is of, and what was told for it. */
  bound: BoundRetelling | undefined;
  windowEndMs: number;
  digest: string;
  /** Of the newest try, if it failed. */
  failed: Ending | undefined;
  /** Pane of the host's clock in which the newest try began. */
  pane: number;
  flight: Flight | undefined;
};

/** A try that runs; it is given up at `untilMs`. */
type Flight = { readonly untilMs: number; readonly ended: PromiseWithResolvers<void> };

const TOLD: LookOptions = { limit: TLDR_TERMS_MAX, order: "trend" };
/** The gateway ends a call in time; this is for one that it forgot. */
const GRACE_MS = 1_000;
const STATE_BYTES = 300;
/** There is one a tenant. */
const KEY = "";

export class Tldrs {
  readonly #options: TldrOptions;
  readonly #shelf = new Shelf<Tldr>({ bytesMax: RETELLINGS_BYTES_MAX, ofTenantMax: 1 });

  constructor(options: TldrOptions) {
    this.#options = options;
  }

  get bytes(): number {
    return this.#shelf.bytes;
  }

  /** What stands in place of the report's own sentences; undefined: they stand. */
  look(tenant: string, report: TrendingReport, asked: LookOptions): Retelling | undefined {
    if (this.#options.llm.models.tldr === undefined || report.items.length === 0) return undefined;
    const record = new TrendingRecord(report, asked.order);
    const isTold = tellsAll(report, asked);
    const tldr = this.#find(tenant);
    if (!isTold || !isStill(tldr, record)) {
      this.#mayBegin(tenant, tldr, isTold ? record : undefined);
    }
    const isNear = tldr.bound !== undefined && isSameOrNext(tldr.windowEndMs, record);
    const retold = isNear ? tldr.bound?.of(record) : undefined;
    if (retold !== undefined) return retold;
    const { failed } = tldr;
    return failed !== undefined && isSameOrNext(failed.windowEndMs, record)
      ? { failure: failed.failure }
      : undefined;
  }

  /** Resolves once the try that runs has ended, with true; false: there is none, or not in time. */
  async ended(tenant: string, waitMsMax: number): Promise<boolean> {
    const flight = this.#shelf.find(tenant, KEY)?.flight;
    if (flight === undefined) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const late = setTimeout(() => resolve(false), waitMsMax);
    void flight.ended.promise.then(() => resolve(true));
    const isEnded = await promise;
    clearTimeout(late);
    return isEnded;
  }

  /** The tenant is deleted. */
  forget(tenant: string): void {
    this.#shelf.dropTenant(tenant);
  }

  #find(tenant: string): Tldr {
    const found = this.#shelf.find(tenant, KEY);
    if (found !== undefined) return found;
    const tldr: Tldr = {
      bound: undefined,
      windowEndMs: 0,
      digest: "",
      failed: undefined,
      pane: Number.NEGATIVE_INFINITY,
      flight: undefined,
    };
    this.#shelf.put(tenant, KEY, tldr, STATE_BYTES);
    return tldr;
  }

  /** `record`: undefined if what the look brought along is not all that is told. */
  #mayBegin(tenant: string, tldr: Tldr, record: TrendingRecord | undefined): void {
    const nowMs = this.#options.nowMs();
    const pane = Math.floor(nowMs / PANE_MS);
    if (tldr.flight !== undefined && nowMs < tldr.flight.untilMs) return;
    if (tldr.pane === pane) return;
    tldr.pane = pane;
    const untilMs = nowMs + TLDR_WAIT_MS_MAX + GRACE_MS;
    const flight: Flight = { untilMs, ended: Promise.withResolvers<void>() };
    tldr.flight = flight;
    void this.#tell(tenant, tldr, flight, record).finally(flight.ended.resolve);
  }

  async #tell(
    tenant: string,
    tldr: Tldr,
    flight: Flight,
    given: TrendingRecord | undefined,
  ): Promise<void> {
    const { llm } = this.#options;
    const record = given ?? (await this.#read(tenant));
    if (record === undefined || isStill(tldr, record)) {
      if (tldr.flight === flight) tldr.flight = undefined;
      return;
    }
    const { parts, windowEndMs } = record;
    const end = await askUpstream(llm, tenant, "tldr", { parts, waitMsMax: TLDR_WAIT_MS_MAX });
    // It was given up, and another one may run.
    if (tldr.flight !== flight) return;
    tldr.flight = undefined;
    const model = llm.models.tldr ?? "";
    const bound =
      "answer" in end ? BoundRetelling.bind(end.answer.sentences, record, model) : undefined;
    if (bound === undefined) {
      const failure = "failure" in end ? end.failure : "malformed";
      tldr.failed = failure === "off" ? undefined : { windowEndMs, failure };
      return;
    }
    tldr.failed = undefined;
    tldr.bound = bound;
    tldr.windowEndMs = windowEndMs;
    tldr.digest = record.digest;
    this.#shelf.resize(tenant, KEY, tldr, STATE_BYTES + bound.bytes);
  }

  /** Undefined: the tenant cannot answer now, or has nothing to tell. */
  async #read(tenant: string): Promise<TrendingRecord | undefined> {
    try {
      const report = await this.#options.trending(tenant, TOLD);
      return report.items.length === 0 ? undefined : new TrendingRecord(report);
    } catch {
      return undefined;
    }
  }
}

/** Whether nothing has changed but the time: then the retelling is of this pane as well. */
function isStill(tldr: Tldr, record: TrendingRecord): boolean {
  if (tldr.bound === undefined || tldr.digest !== record.digest) return false;
  tldr.windowEndMs = Math.max(tldr.windowEndMs, record.windowEndMs);
  return true;
}

/** Whether the report has all that a record of it would tell, in the order in which it is told. */
function tellsAll({ items }: TrendingReport, { limit, order }: LookOptions): boolean {
  return order === TOLD.order && (limit >= TOLD.limit || items.length < limit);
}

function isSameOrNext(windowEndMs: number, record: TrendingRecord): boolean {
  const passedMs = record.windowEndMs - windowEndMs;
  return passedMs >= 0 && passedMs <= PANE_MS;
}
