/** What limits of texts ask: how many bytes of UTF-8 they take, and whether they have controls. */
const encoder = new TextEncoder();

export function bytesOf(text: string): number {
  return encoder.encode(text).length;
}

/** The same question for limits; most texts need no count: a unit takes at most three bytes. */
export function isWithinBytes(text: string, bytesMax: number): boolean {
  return 3 * text.length <= bytesMax || (text.length <= bytesMax && bytesOf(text) <= bytesMax);
}

export function hasControls(text: string): boolean {
  // oxlint-disable-next-line no-control-regex
  return /[\u0000-\u001F\u007F]/.test(text);
}

/** The longest beginning of so many bytes, whole characters only. */
export function cutToBytes(text: string, bytesMax: number): string {
  if (isWithinBytes(text, bytesMax)) return text;
  const bytes = new Uint8Array(bytesMax);
  const { read } = encoder.encodeInto(text, bytes);
  return text.slice(0, read);
}
