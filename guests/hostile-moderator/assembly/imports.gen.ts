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

/**
 * The prompt is parts, not text (src/model/prompt-parts.ts), so that no component can leave out
 * the fence around what strangers wrote. The answer was checked by the host and comes in the
 * job's binary form (src/model/consultation.ts). A task may ask once.
 */
@external("nexuscore:tenant/llm@0.1.0", "[async-lower]complete")
export declare function complete(job: u32, promptPtr: usize, promptLen: usize, result: usize): u32;

/** The result of a task of `review`. */
@external("[export]nexuscore:tenant/moderate@0.1.0", "[task-return]review")
export declare function taskReturnReview(action: u32, proposedAction: u32, flagged: u32, scoresPtr: usize, scoresLen: usize, severity: u32, reasonPtr: usize, reasonLen: usize, applied: u32): void;
