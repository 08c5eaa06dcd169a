// Where the hostile guest keeps the texts it has heard.
import { STATE } from "./arena";

/** Texts kept: { u32 bytes, UTF-8 } each. */
export const TEXTS: usize = STATE + 4096;
export const TEXT_SLOT_BYTES: usize = 256;
export const TEXT_COUNT: u32 = 8;
