/** What a router and its tenants say to each other. */
import type { Usage } from "../children/leash.ts";
import type { TenantAnswer } from "./window-tally.ts";

export type TenantMessage =
  | { readonly type: "event"; readonly user: string; readonly text: string }
  | { readonly type: "flush" }
  | { readonly type: "share" }
  | { readonly type: "ask"; readonly limit: number };

export type TenantReply =
  | { readonly type: "ready" }
  | { readonly type: "counted"; readonly count: number }
  /** The leash of a process gives it. */
  | { readonly type: "usage"; readonly usage: Usage }
  | { readonly type: "share"; readonly megabytes: number }
  | { readonly type: "answer"; readonly answer: TenantAnswer };

/** Events between two acknowledgements. */
export const ACKNOWLEDGE_EVENTS = 64;
