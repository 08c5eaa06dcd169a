/** Tokens of a provider: only what it signed opens, and only as it says. */
import { Tokens } from "#keys/tokens.ts";
import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { FuzzSubject, FuzzTarget } from "./target.ts";

const AUDIENCE = "nexuscore";
const ISSUER = "http://127.0.0.1/provider";
const NOW_MS = 1_795_197_600_000;
const GRANT = { roles: ["tenantRead"], tenants: ["acme"] };
const encoded = (value: unknown): string =>
  Buffer.from(JSON.stringify(value)).toString("base64url");

/** Ed25519 of a seed that is all sevens: its signatures are always the same, and open nothing. */
const PRIVATE_KEY = createPrivateKey({
  format: "der",
  type: "pkcs8",
  key: Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.alloc(32, 7)]),
});

export const tokens: FuzzTarget = {
  sentence: "tokens of an OpenID provider: nothing opens but what it signed",
  caseCount: 150,
  open: async (): Promise<FuzzSubject> => {
    const jwk = { ...createPublicKey(PRIVATE_KEY).export({ format: "jwk" }), kid: "one" };
    const key = { ...jwk, use: "sig", alg: "EdDSA" };
    const server = createServer((_request, response) => {
      const body = JSON.stringify({ keys: [key] });
      response.writeHead(200, { "content-type": "application/json" }).end(body);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const verifier = new Tokens({
      issuer: ISSUER,
      jwksUrl: `http://127.0.0.1:${port}/keys`,
      audience: AUDIENCE,
      claim: "nexuscore",
      nowMs: () => NOW_MS,
      onFailure: () => undefined,
    });
    const right = signed(claimsOf());
    const wrong = [
      signed({ ...claimsOf(), aud: "other" }),
      signed({ ...claimsOf(), exp: 1 }),
      signed({ ...claimsOf(), nexuscore: { roles: ["admin"], tenants: ["*"] } }, "none"),
      signed(claimsOf(), "HS256"),
    ];
    return {
      seeds: [right, ...wrong].map((text) => Buffer.from(text)),
      dictionary: [".", "..", encoded({ alg: "none" }), encoded({ alg: "HS256" }), "=", "_-"],
      check: async (input) => {
        const text = Buffer.from(input).toString("latin1");
        // The provider answers, so whatever is wrong is the token's, and no problem of ours.
        const found = await verifier.verify(text);
        if (found === undefined) return `refused ${text.split(".").length === 3}`;
        // Bits of base64url that nobody reads may differ; what was signed may not.
        const [head, claims] = text.split(".");
        assert(right.startsWith(`${head}.${claims}.`), `${text} is taken`);
        assert.deepEqual([...found.principal.roles], GRANT.roles);
        assert.deepEqual([...found.principal.tenants], GRANT.tenants);
        return "taken";
      },
      close: () => void server.close(),
    };
  },
};

function claimsOf(): object {
  const seconds = Math.floor(NOW_MS / 1_000);
  const times = { iat: seconds, exp: seconds + 300 };
  return { iss: ISSUER, aud: AUDIENCE, sub: "ada", ...times, nexuscore: GRANT };
}

function signed(claims: object, alg = "EdDSA"): string {
  const body = `${encoded({ alg, kid: "one", typ: "JWT" })}.${encoded(claims)}`;
  const signature = sign(null, Buffer.from(body), PRIVATE_KEY).toString("base64url");
  return `${body}.${alg === "none" ? "" : signature}`;
}
