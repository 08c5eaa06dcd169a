// Preloaded into the server of a soak, into each of its threads: garbage is collected every few
// seconds, so that what memory is left is what is held, and not what nobody has looked at yet.
const COLLECT_MS = 3_000;

const { gc } = globalThis as { gc?: () => void };
setInterval(() => gc?.(), COLLECT_MS).unref();
