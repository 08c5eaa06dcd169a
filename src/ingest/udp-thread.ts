/**
 * The thread that reads event datagrams: waits at the socket, takes what waits, turns the epoch.
 */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { isIPv6 } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { findFfi, isReadable, loadLibc, pollRequest } from "#kernel/libc.ts";
import { Receiver } from "#kernel/receiver.ts";
import { openEventSocket } from "./event-socket.ts";
import { Turns } from "./turns.ts";
import type { UdpMessage, UdpSettings } from "./udp.ts";

/** So long the system is left alone when nothing can be taken or no shard is ready. */
const RETRY_MS = 2;
/** Reads between two looks at the clock. */
const READS_MAX = 16;
/** How long the end waits for the shards. */
const STOP_MS_MAX = 3_000;
/** node:dgram tells nothing of a stop; so often its loop looks for itself. */
const LOOK_MS = 20;

try {
  await run(workerData as UdpSettings);
} catch (error) {
  const { message, code = "" } = error as NodeJS.ErrnoException;
  post({ type: "failed", message, code });
}

async function run(settings: UdpSettings): Promise<void> {
  const receiver = new Receiver(settings.stage);
  const turns = new Turns(receiver, settings, performance.now());
  const { memory, layout } = settings.stage;
  const stopWord = new Int32Array(memory.buffer, layout.stopWord, 1);
  const stopping = (): boolean => Atomics.load(stopWord, 0) !== 0;
  const { address: host } = await lookup(settings.host);
  const numeric = { ...settings, host };
  if (settings.receive === "recvmmsg") runWithLibc(numeric, receiver, turns, stopping);
  else await runWithDgram(numeric, receiver, turns, stopping);
  finish(receiver);
}

function runWithLibc(
  { host, port, stage }: UdpSettings,
  receiver: Receiver,
  turns: Turns,
  stopping: () => boolean,
): void {
  const socket = openEventSocket({ host, port, programFd: stage.programFd });
  const libc = loadLibc(findFfi()!);
  const reader = receiver.readSocket(socket.fd);
  const { wakeFd } = stage;
  const request = pollRequest(socket.fd, ...(wakeFd === undefined ? [] : [wakeFd]));
  post({ type: "listening", port: socket.port });
  while (!stopping()) {
    if (libc.waitReadable(request, Math.ceil(turns.dueMs(performance.now())))) {
      let readCount = 0;
      while (readCount < READS_MAX && reader.read() > 0) readCount += 1;
      if (wakeFd !== undefined && isReadable(request, 1)) libc.clearEvent(wakeFd);
      // Nothing could be taken: the logs are full until the shards have read theirs.
      if (readCount === 0 && isReadable(request, 0)) pause(RETRY_MS);
    }
    turns.tick(performance.now());
  }
  while (reader.read() > 0) turns.tick(performance.now());
  socket.close();
}

async function runWithDgram(
  { host, port }: UdpSettings,
  receiver: Receiver,
  turns: Turns,
  stopping: () => boolean,
): Promise<void> {
  const socket: Socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
  const peers: RemoteInfo[] = [];
  receiver.answerWith((number, request) => {
    const peer = peers[number];
    if (peer === undefined) return false;
    // Whether it arrives nobody knows anyway; a refusal must not end this thread.
    socket.send(request.slice(), peer.port, peer.address, () => undefined);
    return true;
  });
  socket.on("message", (datagram, peer) => {
    if (receiver.room === 0) turns.tick(performance.now());
    // Without room it is lost, and the gap in its sender's sequence says so.
    if (receiver.room === 0) return;
    const number = receiver.take(datagram);
    if (number >= 0) peers[number] = peer;
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(port, host, resolve);
  });
  post({ type: "listening", port: socket.address().port });
  const ended = Promise.withResolvers<void>();
  const timer = setInterval(() => {
    turns.tick(performance.now());
    if (stopping()) ended.resolve();
  }, LOOK_MS);
  await ended.promise;
  clearInterval(timer);
  socket.close();
}

/** Gives the shards both tables, as far as they take them in time. */
function finish(receiver: Receiver): void {
  const endMs = performance.now() + STOP_MS_MAX;
  for (let turns = 0; turns < 3 && performance.now() < endMs; pause(RETRY_MS)) {
    if (receiver.turn()) turns += 1;
  }
}

function post(message: UdpMessage): void {
  parentPort!.postMessage(message);
}

function pause(durationMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
}
