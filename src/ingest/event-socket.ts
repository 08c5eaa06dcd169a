/**
 * The event socket on Linux: made by hand, so that the filter is in place before the first
 * datagram.
 */
import { findFfi, type Libc, loadLibc, socketAddress } from "#kernel/libc.ts";

/** What waits for the receiver; with the kernel stage only what its logs cannot take. */
const RECEIVE_BUFFER_BYTES = 32 * 1024 * 1024;

export type EventSocket = {
  readonly fd: number;
  readonly port: number;
  readonly close: () => void;
};

/** Throws SystemError: `bind: EADDRINUSE` where another process has the port. */
export function openEventSocket(options: {
  readonly host: string;
  readonly port: number;
  /** Of the filter; undefined: every datagram is read. */
  readonly programFd: number | undefined;
}): EventSocket {
  const ffi = findFfi();
  if (ffi === undefined) throw new Error("node:ffi is missing");
  const libc: Libc = loadLibc(ffi);
  const { host, port, programFd } = options;
  const fd = libc.openSocket(host.includes(":") ? "ipv6" : "ipv4");
  try {
    libc.setReceiveBuffer(fd, RECEIVE_BUFFER_BYTES);
    if (programFd !== undefined) libc.attachFilter(fd, programFd);
    libc.bind(fd, socketAddress(host, port));
    return { fd, port: libc.port(fd), close: () => libc.close(fd) };
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}
