/** A process that opens a stage and its socket, prints the port, and lives until it is killed. */
import { openStage, type StagePath } from "#kernel/stage.ts";
import { openEventSocket } from "#ingest/event-socket.ts";

const path = process.argv[2] as StagePath;
const stage = openStage({ shardCount: 1, path, logBits: 14 });
if (stage.facts.path !== path) throw new Error(stage.facts.missing.join(", "));
const { programFd } = stage.handle;
const { port } = openEventSocket({ host: "127.0.0.1", port: 0, programFd });
process.stdout.write(`${port}\n`);
setInterval(() => undefined, 60_000);
