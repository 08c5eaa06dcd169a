// Generated from wit/moderator.wit by scripts/generate.ts; do not edit.
// What the world `moderator` imports.
/** Eight weights of a feature of one message, as signed bytes; lane n is byte n. */
@external("nexuscore:tenant/classifier@0.1.0", "message-row")
export declare function messageRow(bucket: u32): u64;

/** Eight of the sixteen weights of a feature of a message as an answer; half is 0 or 1. */
@external("nexuscore:tenant/classifier@0.1.0", "reply-row")
export declare function replyRow(bucket: u32, half: u32): u64;

/** Scales, biases and calibration; what each index means, guests/moderate/assembly/model.ts says. */
@external("nexuscore:tenant/classifier@0.1.0", "parameter")
export declare function parameter(index: u32): f64;
