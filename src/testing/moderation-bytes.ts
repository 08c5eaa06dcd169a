/**
 * Reads what src/model/request-bytes.ts and policy-bytes.ts write, slowly and strictly: every byte
 * must be accounted for.
 */
import assert from "node:assert/strict";
import { CATEGORIES } from "#model/moderation.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Takes one part after the other. */
class Parts {
  readonly view: DataView;
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  text(byteCount: number): string {
    assert.ok(this.at + byteCount <= this.#bytes.length, "a text ends inside");
    this.at += byteCount;
    return utf8.decode(this.#bytes.subarray(this.at - byteCount, this.at));
  }

  u8(): number {
    return this.view.getUint8(this.at++);
  }

  u16(): number {
    return this.view.getUint16((this.at += 2) - 2, true);
  }

  u32(): number {
    return this.view.getUint32((this.at += 4) - 4, true);
  }

  f32(): number {
    return this.view.getFloat32((this.at += 4) - 4, true);
  }

  f64(): number {
    return this.view.getFloat64((this.at += 8) - 8, true);
  }

  end(): void {
    assert.equal(this.at, this.#bytes.length, "nothing follows");
  }
}

/** Empty strings stand for what is not there. */
export function readRequest(bytes: Uint8Array) {
  const parts = new Parts(bytes);
  const [tsMs, flags, contextCount] = [parts.f64(), parts.u32(), parts.u16()];
  const lengths = Array.from({ length: 6 }, () => parts.u16());
  assert.equal(parts.u16(), 0);
  const textBytes = parts.u32();
  const [id, conversation, user, role, replyTo, language] = lengths.map((each) => parts.text(each));
  const text = parts.text(textBytes);
  const context = Array.from({ length: contextCount }, () => {
    const [idBytes, userBytes, turnBytes] = [parts.u16(), parts.u16(), parts.u32()];
    return { id: parts.text(idBytes), user: parts.text(userBytes), text: parts.text(turnBytes) };
  });
  parts.end();
  return { tsMs, flags, id, conversation, user, role, replyTo, language, text, context };
}

export function readPolicy(bytes: Uint8Array) {
  const parts = new Parts(bytes);
  const [version, flags, turnsMax, bytesMax] = [parts.u32(), parts.u32(), parts.u16(), parts.u16()];
  const [allowCount, blockCount, roleCount] = [parts.u16(), parts.u16(), parts.u16()];
  const guidanceBytes = parts.u16();
  const mode = parts.u8();
  assert.equal(parts.u8(), 0);
  const waitMsMax = parts.u16();
  const ageMsMax = parts.f64();
  const thresholds = CATEGORIES.map(() => [parts.f32(), parts.f32()] as const);
  const [below, above, weight] = [parts.f32(), parts.f32(), parts.f32()];
  const entry = () => {
    const [byteCount, action] = [parts.u8(), parts.u8()];
    return { term: parts.text(byteCount), action };
  };
  const allow = Array.from({ length: allowCount }, entry);
  const block = Array.from({ length: blockCount }, entry);
  const roles = Array.from({ length: roleCount }, () => {
    const [byteCount, exempt, leniency] = [parts.u8(), parts.u8(), parts.f32()];
    return { role: parts.text(byteCount), exempt, leniency };
  });
  const guidance = parts.text(guidanceBytes);
  parts.end();
  const consult = { mode, below, above, weight, waitMsMax, guidance };
  return { version, flags, turnsMax, bytesMax, ageMsMax, thresholds, allow, block, roles, consult };
}
