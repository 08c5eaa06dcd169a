/**
 * What can be wrong with one event. The code is the contract; the batcher reports its number, which
 * is its index here, so entries are only ever appended.
 */
import {
  CONVERSATION_BYTES_MAX,
  EVENT_ID_BYTES_MAX,
  FUTURE_MS_MAX,
  LINE_BYTES_MAX,
  METRIC_COUNT_MAX,
  METRIC_NAME_BYTES_MAX,
  TERM_BYTES_MAX,
  TERM_COUNT_MAX,
  TEXT_BYTES_MAX,
  TS_MS_MAX,
  USER_BYTES_MAX,
  WEIGHT_MAX,
} from "#model/limits.ts";

export const EVENT_ERRORS = [
  { code: "malformedJson", message: "Not valid JSON; use one JSON object a line." },
  { code: "notAnObject", message: "An event is a JSON object, not another value." },
  { code: "eventTooLarge", message: `Longer than ${LINE_BYTES_MAX} bytes of JSON.` },
  { code: "invalidUtf8", message: "Not valid UTF-8." },
  { code: "eventEmpty", message: "Give at least one of text, terms and metrics." },
  { code: "tenantMissing", message: "Give a tenant, or post to /v1/tenants/{tenant}/events." },
  { code: "tenantIllegal", message: "A tenant id is a string of 1 to 64 of A-Z a-z 0-9 . _ : -" },
  { code: "tenantMismatch", message: "The event names another tenant than the address." },
  { code: "tenantLimit", message: "All tenants that this server takes are taken." },
  {
    code: "tenantQuarantined",
    message: "The tenant's component failed too often; see its status.",
  },
  {
    code: "idInvalid",
    message: `id is a string of 1 to ${EVENT_ID_BYTES_MAX} bytes, no controls.`,
  },
  {
    code: "userInvalid",
    message: `user is a string of 1 to ${USER_BYTES_MAX} bytes, no controls.`,
  },
  {
    code: "conversationInvalid",
    message: `conversation is a string of 1 to ${CONVERSATION_BYTES_MAX} bytes, no controls.`,
  },
  { code: "tsInvalid", message: `tsMs is a number of milliseconds from 0 to ${TS_MS_MAX}.` },
  { code: "tsInFuture", message: `tsMs is over ${FUTURE_MS_MAX} ms ahead of this server's clock.` },
  { code: "textInvalid", message: "text is a string." },
  { code: "textTooLong", message: `text is longer than ${TEXT_BYTES_MAX} bytes.` },
  { code: "termsInvalid", message: `terms is an array of at most ${TERM_COUNT_MAX} strings.` },
  { code: "termInvalid", message: `A term is 1 to ${TERM_BYTES_MAX} bytes, no controls.` },
  {
    code: "metricsInvalid",
    message:
      `metrics is an object of at most ${METRIC_COUNT_MAX} finite numbers, ` +
      `names of 1 to ${METRIC_NAME_BYTES_MAX} bytes.`,
  },
  { code: "weightInvalid", message: `weight is an integer from 1 to ${WEIGHT_MAX}.` },
  { code: "guestFailed", message: "The tenant's component failed on the batch with this event." },
  { code: "memoryFull", message: "This server's memory for tenants is full." },
  {
    code: "dataUnsupported",
    message: "data of a CloudEvent is a JSON object or a string; data_base64 is not read.",
  },
  { code: "overQuota", message: "The tenant is over its quota; GET its quota." },
  {
    code: "tenantMemoryFull",
    message: "The tenant has all the memory that it may take.",
  },
  { code: "tenantDeleting", message: "The tenant is being deleted; try again after it." },
] as const;

export type EventErrorCode = (typeof EVENT_ERRORS)[number]["code"];

/** Number of `code` as the batcher and the shard report it. */
export function eventErrorNumber(code: EventErrorCode): number {
  return EVENT_ERRORS.findIndex((error) => error.code === code);
}
