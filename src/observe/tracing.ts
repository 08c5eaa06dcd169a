/**
 * Spans for OpenTelemetry. Only its API is ours: where they go, and how many are kept, is the SDK's
 * business, which an operator loads with `--import` (docs/deploy.md). Without the option there is
 * none of this; with it and without an SDK, spans are empty calls.
 *
 * No attribute holds a text, a user or a conversation: codes, counts, tenants.
 */
import {
  type Attributes,
  type Context,
  context,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from "@opentelemetry/api";
import { Problem } from "#model/problem.ts";

const NAME = "nexuscore";

export type Facts = Attributes;

export class Tracing {
  readonly #tracer: Tracer;

  constructor(version: string) {
    this.#tracer = trace.getTracer(NAME, version);
  }

  /** A span of the work in `run`, within the one that is under way. */
  async span<T>(
    name: string,
    facts: Facts,
    run: () => Promise<T>,
    of: { readonly isCall?: boolean; readonly result?: (value: T) => Facts } = {},
  ): Promise<T> {
    const kind = of.isCall === true ? SpanKind.CLIENT : SpanKind.INTERNAL;
    const span = this.#tracer.startSpan(name, { kind, attributes: facts });
    try {
      const value = await context.with(trace.setSpan(context.active(), span), run);
      if (of.result !== undefined) span.setAttributes(of.result(value));
      return value;
    } catch (error) {
      fail(span, error);
      throw error;
    } finally {
      span.end();
    }
  }

  /** A request, within what its sender began if it says so (traceparent). */
  request(name: string, headers: object, facts: Facts): RequestSpan {
    const outer = propagation.extract(context.active(), headers);
    const span = this.#tracer.startSpan(name, { kind: SpanKind.SERVER, attributes: facts }, outer);
    return new RequestSpan(span, trace.setSpan(outer, span));
  }

  /** Of work that was done already; times of the epoch. */
  past(name: string, startMs: number, endMs: number, facts: Facts): void {
    this.#tracer.startSpan(name, { startTime: startMs, attributes: facts }).end(endMs);
  }
}

export class RequestSpan {
  readonly #span: Span;
  readonly #context: Context;

  constructor(span: Span, inner: Context) {
    this.#span = span;
    this.#context = inner;
  }

  /** What runs in it has it as its parent. */
  within(run: () => void): void {
    context.with(this.#context, run);
  }

  end(facts: Facts, isFailure: boolean): void {
    this.#span.setAttributes(facts);
    if (isFailure) this.#span.setStatus({ code: SpanStatusCode.ERROR });
    this.#span.end();
  }
}

/** By code: a message may quote what it could not read. */
function fail(span: Span, error: unknown): void {
  const type = error instanceof Problem ? error.code : (error as Error).name;
  span.setAttribute("error.type", type);
  span.setStatus({ code: SpanStatusCode.ERROR });
}
