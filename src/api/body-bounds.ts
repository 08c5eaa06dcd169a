/**
 * A bound on all bodies that are read whole before a route sees them. Each has a bound of its own,
 * but there may be as many of them as connections, and who sends slowly makes us hold them.
 */
import { payerOf } from "#keys/access-hooks.ts";
import { BodyBudget } from "#model/body-budget.ts";
import { Problem } from "#model/problem.ts";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Readable } from "node:stream";

export function boundBodies(server: FastifyInstance, budget = new BodyBudget()): void {
  // Not async: whoever reads the body must begin in the same turn, or the first bytes are missed.
  server.addHook("preParsing", (request, reply, payload, done) => {
    const { "content-length": length, "transfer-encoding": coding } = request.headers;
    const hasBody = length !== undefined || coding !== undefined;
    if (hasBody && request.routeOptions.config.countsBody !== true) {
      count(budget, request, reply, payload as Readable);
    }
    done(null, payload);
  });
}

function count(
  budget: BodyBudget,
  request: FastifyRequest,
  reply: FastifyReply,
  payload: Readable,
): void {
  const share = budget.of(payerOf(request));
  let bytes = 0;
  const onData = (chunk: Buffer): void => {
    if (share.take(chunk.length)) {
      bytes += chunk.length;
      return;
    }
    payload.off("data", onData);
    payload.resume();
    // If nobody reads it, it was refused already, and an error that nobody hears ends the process.
    if (payload.listenerCount("error") === 0) return;
    // Whoever reads it answers with it. The rest is thrown away, so that the answer arrives.
    payload.emit("error", new Problem("busy", "Too many bodies are held at once; try again."));
  };
  payload.on("data", onData);
  reply.raw.once("close", () => {
    payload.off("data", onData);
    share.give(bytes);
    bytes = 0;
  });
}
