// What the hostile moderator does wrong when a message tells it to.
import { STATE_ADDRESS } from "../../sdk/assembly/arena";
import { Verdict } from "./world.gen";

const MARK: u8 = 0x21; // "!"
const MEMORY_BYTES: usize = 0x40000;
/** State that nothing else uses. */
const SPUN: usize = STATE_ADDRESS + 64;
const HOARD: usize = STATE_ADDRESS + 0x8000;

/** Before the turn has an effect worth the name, and after it has one. */
export function misbehave(text: usize, bytes: u32): void {
  if (bytes < 5 || load<u8>(text) != MARK) return;
  store<u32>(SPUN, load<u32>(SPUN) + 1);
  const word = load<u32>(text, 1);
  if (word == 0x6e697073) while (true) store<u32>(SPUN, load<u32>(SPUN) + 1); // spin
  else if (word == 0x70617274) unreachable(); // trap
  else if (word == 0x776f7267) memory.grow(1); // grow
  else if (word == 0x70656564) store<u32>(SPUN, deepen(1)); // deep
  else if (bytes >= 4 && (word & 0xffffff) == 0x676f68) hoard(); // hog
}

function deepen(depth: u32): u32 {
  return depth == 0 ? 0 : deepen(depth + 1) + load<u32>(SPUN);
}

/** More than an image may have: statics and arena, too. */
function hoard(): void {
  for (let at: usize = 0x8000; at < MEMORY_BYTES; at += 64) if (at < STATE_ADDRESS - 0x8000 || at >= HOARD) store<u8>(at, 0xa5);
}

/** `!lie0` to `!lie9`: a verdict that breaks the contract. */
export function twist(text: usize, bytes: u32, verdict: Verdict): usize {
  const address = changetype<usize>(verdict);
  if (bytes < 5 || load<u8>(text) != MARK || (load<u32>(text, 1) & 0xffffff) != 0x65696c) return address;
  const lie = <u32>load<u8>(text, 4) - 0x30;
  if (lie == 0) return <usize>0xfffffff0;
  if (lie == 1) return address + 4;
  if (lie == 2) verdict.action = 3;
  else if (lie == 3) verdict.scoresLen = 0x40000000;
  else if (lie == 4) verdict.scoresLen = 8;
  else if (lie == 5) verdict.reasonPtr = <u32>MEMORY_BYTES;
  else if (lie == 6) verdict.flagged = 1 << 9;
  else if (lie == 7) store<f64>(verdict.scoresPtr, NaN);
  else if (lie == 8) verdict.severity = 101;
  else verdict.thresholdsLen = 10;
  return address;
}
