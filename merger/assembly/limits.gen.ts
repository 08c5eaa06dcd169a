// Generated from src/model/limits.ts by scripts/batcher-constants.ts; do not edit.
export const SKETCH_BYTES_MAX: u32 = 1048576;
export const SKETCH_USERS_LISTED_MAX: u32 = 24576;
export const METRIC_NAME_BYTES_MAX: u32 = 64;
export const MERGE_USERS_LISTED_MAX: u32 = 4096;
export const MERGE_METRIC_NAMES_MAX: u32 = 64;
export const MERGE_METRIC_BINS_MAX: u32 = 960;
export const MERGE_TERMS_MAX: u32 = 512;
