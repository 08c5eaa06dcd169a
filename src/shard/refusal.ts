/** What a shard answers when it cannot: the code of a `Problem`, and what was wrong. */
import type { Outcome } from "#model/outcome.ts";
import type { ProblemCode } from "#model/problem.ts";

export class Refusal {
  readonly code: ProblemCode;
  readonly detail: string;

  constructor(code: ProblemCode, detail: string) {
    this.code = code;
    this.detail = detail;
  }
}

export function unknownTenant(tenant: string): Refusal {
  return new Refusal("tenantUnknown", `No event of ${tenant} has come, and nobody made it.`);
}

export function deletingTenant(tenant: string): Refusal {
  return new Refusal(
    "tenantDeleting",
    `${tenant} is being deleted; a new tenant of this name may begin after that.`,
  );
}

/** Of a turn that ended otherwise than `ok`. */
export function failureOf(tenant: string, outcome: Outcome): Refusal {
  if (outcome === "quarantined") {
    return new Refusal(
      "tenantQuarantined",
      `The component of ${tenant} failed too often. PUT /v1/tenants/${tenant} releases it.`,
    );
  }
  if (outcome === "refused") {
    return new Refusal("memoryFull", "This server's memory for tenants is full.");
  }
  return new Refusal("guestFailed", `The component of ${tenant} ended: ${outcome}.`);
}
