/** What an SDK of OpenTelemetry would be given, kept for a test. One a process. */
import {
  type Attributes,
  type Context,
  context,
  type ContextManager,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  type SpanOptions,
  trace,
  TraceFlags,
} from "@opentelemetry/api";
import { AsyncLocalStorage } from "node:async_hooks";

export type RecordedSpan = {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | undefined;
  readonly attributes: Attributes;
  isError: boolean;
  isEnded: boolean;
};

const TRACE_ID = /^00-([0-9a-f]{32})-([0-9a-f]{16})-01$/;

export class RecordedSpans {
  readonly spans: RecordedSpan[] = [];
  #last = 0;

  constructor() {
    context.setGlobalContextManager(asyncContexts());
    propagation.setGlobalPropagator({
      inject: () => undefined,
      fields: () => ["traceparent"],
      extract: (outer, carrier: { traceparent?: string }) => {
        const [, traceId, spanId] = TRACE_ID.exec(carrier.traceparent ?? "") ?? [];
        if (traceId === undefined || spanId === undefined) return outer;
        const isRemote = true;
        const remote = { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote };
        return trace.setSpanContext(outer, remote);
      },
    });
    const startSpan = (name: string, options?: SpanOptions, outer?: Context): Span =>
      this.#start(name, options, outer);
    trace.setGlobalTracerProvider({
      getTracer: () => ({
        startSpan,
        startActiveSpan: () => {
          throw new Error("not used by the product");
        },
      }),
    });
  }

  #start(name: string, options: SpanOptions = {}, outer: Context = context.active()): Span {
    const parent = trace.getSpanContext(outer);
    this.#last += 1;
    const spanId = this.#last.toString(16).padStart(16, "0");
    const traceId = parent?.traceId ?? spanId.padStart(32, "f");
    const attributes: Attributes = { ...options.attributes };
    const record: RecordedSpan = {
      name,
      traceId,
      spanId,
      parentId: parent?.spanId,
      attributes,
      isError: false,
      isEnded: false,
    };
    this.spans.push(record);
    const own: SpanContext = { traceId, spanId, traceFlags: TraceFlags.SAMPLED };
    const span: Span = {
      spanContext: () => own,
      setAttribute: (key, value) => {
        attributes[key] = value;
        return span;
      },
      setAttributes: (more) => {
        Object.assign(attributes, more);
        return span;
      },
      setStatus: () => {
        record.isError = true;
        return span;
      },
      end: () => void (record.isEnded = true),
      addEvent: () => span,
      addLink: () => span,
      addLinks: () => span,
      updateName: () => span,
      isRecording: () => true,
      recordException: () => {
        throw new Error("a message may quote what somebody wrote");
      },
    };
    return span;
  }
}

function asyncContexts(): ContextManager {
  const storage = new AsyncLocalStorage<Context>();
  const manager: ContextManager = {
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (inner, run, self, ...args) => storage.run(inner, () => run.apply(self, args)),
    bind: (_inner, target) => target,
    enable: () => manager,
    disable: () => manager,
  };
  return manager;
}
