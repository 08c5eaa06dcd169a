// Generated from src/model/limits.ts by scripts/batcher-constants.ts; do not edit.
export const TENANT_ID_BYTES_MAX: u32 = 64;
export const LINE_BYTES_MAX: u32 = 65536;
export const ERRORS_LISTED_MAX: u32 = 100;
export const EVENT_ID_BYTES_MAX: u32 = 64;
export const USER_BYTES_MAX: u32 = 128;
export const CONVERSATION_BYTES_MAX: u32 = 128;
export const TEXT_BYTES_MAX: u32 = 16384;
export const TERM_BYTES_MAX: u32 = 40;
export const TERM_COUNT_MAX: u32 = 64;
export const METRIC_NAME_BYTES_MAX: u32 = 64;
export const METRIC_COUNT_MAX: u32 = 16;
export const WEIGHT_MAX: u32 = 1000000;
export const BATCH_BYTES_MAX: u32 = 24576;
export const TS_MS_MAX: f64 = 8640000000000000;
export const FUTURE_MS_MAX: f64 = 60000;
