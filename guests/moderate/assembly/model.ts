// What the numbers of the classifier mean: lanes of its rows, groups of features, indices of its
// parameters. scripts/classifier writes them, score.ts reads them.

/** Lanes of a message row. */
export const LANE_TOXIC: u32 = 0;
export const LANE_HATE: u32 = 1;
export const LANE_INSULT: u32 = 2;
export const LANE_PROFANITY: u32 = 3;
export const LANE_THREAT: u32 = 4;
export const LANE_SEXUAL: u32 = 5;
export const LANE_SELF_HARM: u32 = 6;
export const MESSAGE_LANE_COUNT: u32 = 8;

/** Lanes of a reply row: unsafe, the gate by kind of conversation, an expert each, products. */
export const LANE_UNSAFE: u32 = 0;
export const LANE_GATE: u32 = 1;
export const LANE_EXPERT: u32 = 6;
export const KIND_COUNT: u32 = 5;
/** From here on, what was said before and the answer are multiplied, lane by lane. */
export const LANE_PRODUCT: u32 = 11;
export const REPLY_LANE_COUNT: u32 = 16;

/** Buckets are the low bits of a feature's 24-bit hash. */
export const MESSAGE_BUCKET_MASK: u32 = (1 << 19) - 1;
export const REPLY_BUCKET_MASK: u32 = (1 << 17) - 1;

/** Groups of features. The sum of each is scaled by the group's scale / sqrt(count). */
export const GROUP_WORDS: u32 = 0;
export const GROUP_LETTERS: u32 = 1;
export const GROUP_STRUCTURE: u32 = 2;
/** What was said before, in a hash space of its own. */
export const GROUP_BEFORE_WORDS: u32 = 3;
export const GROUP_BEFORE_LETTERS: u32 = 4;
/** How the message stands to what was said before. */
export const GROUP_RELATIONS: u32 = 5;
/** What the message lanes say of both, in bins. */
export const GROUP_TEMPERS: u32 = 6;
export const GROUP_COUNT: u32 = 7;

/** Parameters. */
export const MESSAGE_SCALES: u32 = 0;
export const MESSAGE_BIASES: u32 = 8;
export const REPLY_SCALES: u32 = 16;
export const REPLY_BIASES: u32 = 32;
/** Curve of head k: 8 raw points (logits, rising), then 8 values, at CURVES + 16 * k. */
export const CURVES: u32 = 64;
export const CURVE_POINT_COUNT: u32 = 8;
export const HEAD_REPLY: u32 = 8;
export const HEAD_COMBINED: u32 = 9;
/** Scale of group g: for the message lanes, and for the reply lanes. 0 leaves the group out. */
export const MESSAGE_GROUP_SCALES: u32 = 256;
export const REPLY_GROUP_SCALES: u32 = 264;
/** Weights of the inputs of the combined toxicity, see `combine` in score.ts. */
export const COMBINED_WEIGHTS: u32 = 272;
export const COMBINED_INPUT_COUNT: u32 = 14;
/** What toxicity, insult and profanity lose where all abusive words are excused (excuses.ts). */
export const EXCUSED_LESS: u32 = 288;
export const EXCUSED_REPORTED_LESS: u32 = 289;
