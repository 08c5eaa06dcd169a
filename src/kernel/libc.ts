/**
 * The few calls of the C library that Node has no door for, through node:ffi. Linux only;
 * elsewhere, and where Node was built without FFI, `loadLibc` says why there are none.
 */
import assert from "node:assert/strict";
import type * as Ffi from "node:ffi";

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_RCVBUFFORCE = 33;
const SO_ATTACH_BPF = 50;
const MSG_DONTWAIT = 0x40;
const POLLIN = 1;
const PROT_READ = 1;
const PROT_READ_WRITE = 3;
const MAP_FAILED = 2n ** 64n - 1n;
const MAP_SHARED = 0x01;
const MAP_FIXED = 0x10;
const EFD_NONBLOCK = 0o4000;
const EFD_CLOEXEC = 0o2000000;
/** What is written to an event: 1, as u64. */
const EVENT = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0);
const POLLFD_BYTES = 8;
const MSGHDR_BYTES = 56;
const SOCKADDR_IN_BYTES = 16;
const SOCKADDR_IN6_BYTES = 28;
/** struct mmsghdr: a msghdr, then the bytes received. */
export const MESSAGE_BYTES = 64;
export const IOVEC_BYTES = 16;

const ERRORS: Readonly<Record<number, string>> = {
  1: "EPERM",
  2: "ENOENT",
  4: "EINTR",
  7: "E2BIG",
  11: "EAGAIN",
  12: "ENOMEM",
  13: "EACCES",
  22: "EINVAL",
  38: "ENOSYS",
  95: "EOPNOTSUPP",
  97: "EAFNOSUPPORT",
  98: "EADDRINUSE",
  99: "EADDRNOTAVAIL",
};

export function errorName(errno: number): string {
  return ERRORS[errno] ?? `errno ${errno}`;
}

/** A call of the C library that failed. */
export class SystemError extends Error {
  override name = "SystemError";
  readonly call: string;
  readonly code: string;

  constructor(call: string, errno: number) {
    super(`${call}: ${errorName(errno)}`);
    this.call = call;
    this.code = errorName(errno);
  }
}

export type Ffi = typeof Ffi;

/** node:ffi, or undefined where this Node has none or may not use it. */
export function findFfi(): Ffi | undefined {
  try {
    return process.getBuiltinModule("node:ffi") as Ffi | undefined;
  } catch {
    return undefined;
  }
}

export type Libc = ReturnType<typeof loadLibc>;

export function loadLibc(ffi: Ffi) {
  const calls = openCalls(ffi);
  const errno = (): number => ffi.getInt32(calls.__errno_location(), 0);
  const check = (call: string, result: number): number => {
    if (result < 0) throw new SystemError(call, errno());
    return result;
  };
  const setOption = (fd: number, option: number, value: number): number =>
    calls.setsockopt(fd, SOL_SOCKET, option, int32(value), 4);

  return {
    ...events(calls, check),

    /** A UDP socket that is not bound yet. */
    openSocket(family: "ipv4" | "ipv6"): number {
      const domain = family === "ipv6" ? AF_INET6 : AF_INET;
      const type = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
      return check("socket", calls.socket(domain, type, 0));
    },

    /** As many bytes as the machine allows this process, up to `bytes`. */
    setReceiveBuffer(fd: number, bytes: number): void {
      if (setOption(fd, SO_RCVBUFFORCE, bytes) === 0) return;
      check("SO_RCVBUF", setOption(fd, SO_RCVBUF, bytes));
    },

    attachFilter(fd: number, programFd: number): void {
      check("SO_ATTACH_BPF", setOption(fd, SO_ATTACH_BPF, programFd));
    },

    bind(fd: number, address: Uint8Array): void {
      check("bind", calls.bind(fd, address, address.length));
    },

    connect(fd: number, address: Uint8Array): void {
      check("connect", calls.connect(fd, address, address.length));
    },

    /** Port that the socket is bound to. */
    port(fd: number): number {
      const address = Buffer.alloc(28);
      check("getsockname", calls.getsockname(fd, address, int32(address.length)));
      return address.readUInt16BE(2);
    },

    /** Waits until something can be read; false when the time is over. */
    waitReadable(request: Uint8Array, timeoutMs: number): boolean {
      const requests = request.length / POLLFD_BYTES;
      const result = calls.poll(request, BigInt(requests), timeoutMs);
      if (result >= 0) return result > 0;
      if (errorName(errno()) === "EINTR") return false;
      throw new SystemError("poll", errno());
    },

    /** Messages received, 0 when none wait. */
    receive(fd: number, messages: bigint, count: number): number {
      const result = calls.recvmmsg(fd, messages, count, MSG_DONTWAIT, 0n);
      if (result >= 0) return result;
      const error = errorName(errno());
      // A refusal that an earlier answer of ours met is no error of this socket's readers.
      if (error === "EAGAIN" || error === "EINTR") return 0;
      throw new SystemError("recvmmsg", errno());
    },

    /** Messages sent, 0 when there is no room. */
    send(fd: number, messages: bigint, count: number): number {
      const result = calls.sendmmsg(fd, messages, count, 0);
      if (result >= 0) return result;
      const error = errorName(errno());
      if (error === "EAGAIN" || error === "EINTR") return 0;
      throw new SystemError("sendmmsg", errno());
    },

    /** Puts the memory of `fd` where `address` is. */
    mapAt(address: bigint, bytes: number, fd: number): void {
      const flags = MAP_SHARED | MAP_FIXED;
      const mapped = calls.mmap(address, BigInt(bytes), PROT_READ_WRITE, flags, fd, 0n);
      if (mapped !== address) throw new SystemError("mmap", errno());
    },

    /** The memory of `fd`, to read, wherever there is room; until the process ends. */
    map(fd: number, bytes: number): ArrayBuffer {
      const mapped = calls.mmap(0n, BigInt(bytes), PROT_READ, MAP_SHARED, fd, 0n);
      if (mapped === MAP_FAILED) throw new SystemError("mmap", errno());
      return ffi.toArrayBuffer(mapped, bytes, false);
    },

    close(fd: number): void {
      calls.close(fd);
    },
  };
}

/** Descriptors that threads wake each other with. */
function events(
  calls: ReturnType<typeof openCalls>,
  check: (call: string, result: number) => number,
) {
  return {
    openEvent(): number {
      return check("eventfd", calls.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    },

    /** Wakes whoever waits until `fd` can be read. */
    signalEvent(fd: number): void {
      // It fails only when it was signalled 2^64 times: then it is signalled.
      calls.write(fd, EVENT, 8n);
    },

    clearEvent(fd: number): void {
      calls.read(fd, Buffer.alloc(8), 8n);
    },
  };
}

function openCalls(ffi: Ffi) {
  // dlopen(null) resolves in the process itself: glibc and musl alike.
  const { functions } = ffi.dlopen(null, {
    __errno_location: { arguments: [], return: "pointer" },
    bind: { arguments: ["int32", "buffer", "uint32"], return: "int32" },
    close: { arguments: ["int32"], return: "int32" },
    eventfd: { arguments: ["uint32", "int32"], return: "int32" },
    connect: { arguments: ["int32", "buffer", "uint32"], return: "int32" },
    getsockname: { arguments: ["int32", "buffer", "buffer"], return: "int32" },
    mmap: {
      arguments: ["pointer", "uint64", "int32", "int32", "int32", "int64"],
      return: "pointer",
    },
    poll: { arguments: ["buffer", "uint64", "int32"], return: "int32" },
    read: { arguments: ["int32", "buffer", "uint64"], return: "int64" },
    recvmmsg: { arguments: ["int32", "pointer", "uint32", "int32", "pointer"], return: "int32" },
    sendmmsg: { arguments: ["int32", "pointer", "uint32", "int32"], return: "int32" },
    setsockopt: { arguments: ["int32", "int32", "int32", "buffer", "uint32"], return: "int32" },
    socket: { arguments: ["int32", "int32", "int32"], return: "int32" },
    write: { arguments: ["int32", "buffer", "uint64"], return: "int64" },
  });
  return functions;
}

/** A struct pollfd each: wait until one of them can be read. */
export function pollRequest(...fds: readonly number[]): Uint8Array {
  const request = Buffer.alloc(POLLFD_BYTES * fds.length);
  for (const [i, fd] of fds.entries()) {
    request.writeInt32LE(fd, i * POLLFD_BYTES);
    request.writeInt16LE(POLLIN, i * POLLFD_BYTES + 4);
  }
  return request;
}

/** Whether the wait ended because the `index`-th of them can be read. */
export function isReadable(request: Uint8Array, index: number): boolean {
  return request[index * POLLFD_BYTES + 6] !== 0;
}

/** struct sockaddr_in or sockaddr_in6 of a numeric address. */
export function socketAddress(host: string, port: number): Uint8Array {
  if (host.includes(":")) {
    const address = Buffer.alloc(28);
    address.writeUInt16LE(AF_INET6, 0);
    address.writeUInt16BE(port, 2);
    address.set(ipv6Bytes(host), 8);
    return address;
  }
  const parts = host.split(".").map(Number);
  assert(parts.length === 4 && parts.every((part) => part >= 0 && part <= 255), host);
  const address = Buffer.alloc(16);
  address.writeUInt16LE(AF_INET, 0);
  address.writeUInt16BE(port, 2);
  address.set(parts, 4);
  return address;
}

/**
 * Fills `count` mmsghdr, each with one iovec, for buffers of `bufferBytes` back to back.
 * `base` is the address of `view`'s first byte; the rest are offsets in it.
 */
export function writeMessages(
  view: DataView,
  base: bigint,
  at: {
    readonly messages: number;
    readonly vectors: number;
    readonly buffers: number;
    readonly bufferBytes: number;
    readonly count: number;
  },
): void {
  for (let i = 0; i < at.count; i++) {
    const vector = at.vectors + i * IOVEC_BYTES;
    const message = at.messages + i * MESSAGE_BYTES;
    view.setBigUint64(vector, base + BigInt(at.buffers + i * at.bufferBytes), true);
    view.setBigUint64(vector + 8, BigInt(at.bufferBytes), true);
    for (let byte = 0; byte < MESSAGE_BYTES; byte += 8) view.setBigUint64(message + byte, 0n, true);
    view.setBigUint64(message + 16, base + BigInt(vector), true);
    view.setBigUint64(message + 24, 1n, true);
  }
}

/** Bytes of the `index`-th message received. */
export function messageBytes(view: DataView, messages: number, index: number): number {
  return view.getUint32(messages + index * MESSAGE_BYTES + MSGHDR_BYTES, true);
}

/** Where the message at `message` goes, or, to receive, where to write whence it came. */
export function writeMessageAddress(
  view: DataView,
  message: number,
  { address, bytes }: { address: bigint; bytes: number },
): void {
  view.setBigUint64(message, address, true);
  view.setUint32(message + 8, bytes, true);
}

/** Bytes of the socket address at `at`, 0 where none was written. */
export function socketAddressBytes(view: DataView, at: number): number {
  const family = view.getUint16(at, true);
  if (family === AF_INET) return SOCKADDR_IN_BYTES;
  return family === AF_INET6 ? SOCKADDR_IN6_BYTES : 0;
}

function int32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

function ipv6Bytes(host: string): number[] {
  const [head = "", tail] = host.split("::");
  const words = (text: string): number[] =>
    text === "" ? [] : text.split(":").map((word) => Number.parseInt(word, 16));
  const start = words(head);
  const end = tail === undefined ? [] : words(tail);
  assert(start.length + end.length <= 8, host);
  const middle = Array.from({ length: 8 - start.length - end.length }, () => 0);
  return [...start, ...middle, ...end].flatMap((word) => [word >> 8, word & 255]);
}
