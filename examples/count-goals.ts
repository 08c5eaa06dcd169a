// Counts what happens in many matches, as datagrams: nothing is awaited, nothing can block.
//   node examples/count-goals.ts [host] [port]      needs a NexusCore that listens there
import { DatagramClient } from "../client/datagram-client.ts";

const [host = "127.0.0.1", port = "7071"] = process.argv.slice(2);
const client = new DatagramClient({ host, port: Number(port) });
const happenings = ["goal", "foul", "corner", "offside"];

for (let minute = 0; minute < 90; minute++) {
  for (let match = 1; match <= 20; match++) {
    client.record(`match-${match}`, happenings[(minute * match) % happenings.length] ?? "goal");
    client.sample(`match-${match}`, "viewers", 1_000 * match + minute);
  }
}
await client.close();

const { recordsSent, recordsDropped, datagramsSent } = client.stats;
process.stdout.write(`${recordsSent} records in ${datagramsSent} datagrams, `);
process.stdout.write(`${recordsDropped} dropped\n`);
