/**
 * Where a webhook may go. Who sets one makes this server send requests, so by default they go to
 * public addresses by https, or to this machine. A name is checked by the addresses it resolves to,
 * at the time of the connection and for the very address that is connected to; and redirects are
 * not followed.
 */
import { lookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { WEBHOOK_URL_BYTES_MAX } from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import { isWithinBytes } from "#model/text-bytes.ts";

/** `https`: public addresses. `loopback`: this machine, too. `any`: whatever is named. */
export type WebhookTargets = "https" | "loopback" | "any";

type Reach = "public" | "loopback" | "private";

/** IANA's registries of special-purpose addresses, without loopback. */
const PRIVATE_4 = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
];
/** Also forms that carry an IPv4 address, which would go round its check. */
const PRIVATE_6 = [
  "::/128",
  "64:ff9b::/96",
  "64:ff9b:1::/48",
  "100::/64",
  "2001::/23",
  "2001:db8::/32",
  "2002::/16",
  "fc00::/7",
  "fe80::/10",
  "fec0::/10",
  "ff00::/8",
];

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");
const privates = new BlockList();
for (const [family, subnets] of [["ipv4", PRIVATE_4] as const, ["ipv6", PRIVATE_6] as const]) {
  for (const subnet of subnets) {
    const [address = "", bits = ""] = subnet.split("/");
    privates.addSubnet(address, Number(bits), family);
  }
}

/** The address as it will be asked; throws a Problem that says what would be right. */
export function requireWebhookUrl(text: string, targets: WebhookTargets): URL {
  const refused = (detail: string): Problem => new Problem("webhookRefused", detail);
  if (!isWithinBytes(text, WEBHOOK_URL_BYTES_MAX)) {
    throw refused(`The url is over ${WEBHOOK_URL_BYTES_MAX} bytes.`);
  }
  const url = URL.parse(text);
  if (url === null || !["https:", "http:"].includes(url.protocol)) {
    throw refused("The url must be one such as https://example.org/hooks.");
  }
  if (url.username !== "" || url.password !== "") {
    throw refused("The url must not hold a user or a password; the signature says who sends.");
  }
  const host = hostOf(url);
  const reach = isIP(host) === 0 ? nameReach(host) : reachOf(host);
  if (targets === "any") return url;
  if (reach === "private") {
    throw refused(`${host} is in a private network; --webhook-targets any allows that.`);
  }
  if (reach === "loopback") {
    if (targets === "loopback") return url;
    throw refused(`${host} is this machine; --webhook-targets loopback allows that.`);
  }
  if (url.protocol !== "https:") {
    throw refused("The url must be https: what is sent would be readable on its way.");
  }
  return url;
}

/** For connections to a name: an address that may not be reached is an error. */
export function guardedLookup(url: URL, targets: WebhookTargets): LookupFunction {
  const host = hostOf(url);
  const expected = nameReach(host);
  return (name, options, done) => {
    lookup(name, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return done(error, []);
      const wrong = addresses.find(({ address }) => {
        return targets !== "any" && reachOf(address) !== expected;
      });
      if (wrong !== undefined) {
        return done(new Error(`${name} resolves to ${wrong.address}, which is not allowed`), []);
      }
      if (options.all === true) return done(null, addresses);
      const first = addresses[0];
      if (first === undefined) return done(new Error(`${name} resolves to nothing`), []);
      return done(null, first.address, first.family);
    });
  };
}

export function reachOf(address: string): Reach {
  // ::ffff:10.0.0.1 is 10.0.0.1, also when it is written as ::ffff:a00:1.
  const family = isIP(address) === 6 ? "ipv6" : "ipv4";
  if (loopback.check(address, family)) return "loopback";
  return privates.check(address, family) ? "private" : "public";
}

function nameReach(host: string): Reach {
  return host === "localhost" || host.endsWith(".localhost") ? "loopback" : "public";
}

/** Without the brackets of IPv6. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
}
