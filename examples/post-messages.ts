// Sends chat messages over HTTP and says what the server made of them.
//   node examples/post-messages.ts [url]            needs a NexusCore that listens there
import { HttpClient } from "../client/http-client.ts";

const [url = "http://127.0.0.1:7070"] = process.argv.slice(2);
const client = new HttpClient({
  url,
  onRefusal: ({ line, message }) => process.stderr.write(`${message} ${line}\n`),
});
const users = ["ada", "grace", "linus", "margaret", "dennis"];

for (const [i, user] of users.entries()) {
  client.send({ tenant: "acme", user, text: "the boss fight is on!" });
  client.send({ tenant: "acme", user, terms: ["raid"], metrics: { "latency.ms": 20 + i } });
}
await client.close();

const { accepted, rejected, dropped, lastFailure } = client.stats;
process.stdout.write(`${accepted} accepted, ${rejected} rejected, ${dropped} dropped\n`);
if (lastFailure !== undefined) process.stderr.write(`${lastFailure}\n`);
