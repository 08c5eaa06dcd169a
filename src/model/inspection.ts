/** What is known of one tenant, for whoever runs the server: nothing that anybody has said. */
import { type TObject, Type } from "typebox";
import type { QuotaStatus } from "./quota.ts";
import type { TenantStatus } from "./tenant.ts";

/** One of a tenant's two components as it stands in memory. */
export type InspectedComponent = {
  readonly world: "summarizer" | "moderator";
  /** Of its code, hexadecimal. */
  readonly digest: string;
  readonly imageBytes: number;
  /** SHA-256 of all of its state. */
  readonly stateHash: string;
  readonly strikeCount: number;
  readonly quarantined: boolean;
};

/** From a shard. */
export type InspectedTenant = {
  readonly status: TenantStatus;
  readonly components: readonly InspectedComponent[];
};

/** One snapshot of a tenant. */
export type StoredSnapshotFacts = {
  readonly world: string;
  readonly generation: "newer" | "older";
  readonly stream: number;
  readonly number: number;
  readonly bytes: number;
  /** Of the block that it reaches to, epoch ms; left out: that block is trimmed. */
  readonly asOfMs?: number | undefined;
  /** What is wrong with it; left out: every byte is as it was written. */
  readonly damage?: string | undefined;
  readonly digest?: string | undefined;
  /** SHA-256 of the state in it: that of the tenant, if there are no turns after it. */
  readonly stateHash?: string | undefined;
  readonly strikeCount?: number | undefined;
  readonly flags?: number | undefined;
};

/** What the log holds of a tenant that its newest snapshot does not. */
export type TurnsAfter = {
  readonly count: number;
  readonly bytes: number;
  readonly kinds: Readonly<Record<string, number>>;
  /** The block of the first of them: since then the tenant is dirty. */
  readonly since?: { readonly stream: number; readonly number: number } | undefined;
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  /** The log is too long to be read for this: there are more. */
  readonly isCut: boolean;
};

/** From the file. */
export type StoredTenant = {
  readonly isKept: boolean;
  readonly snapshots: readonly StoredSnapshotFacts[];
  readonly turnsAfter: TurnsAfter;
};

export type TenantInspection = Partial<InspectedTenant> & {
  readonly tenant: string;
  /** Left out: nothing is kept. */
  readonly stored?: StoredTenant | undefined;
  /** Left out: no server runs. */
  readonly policyVersion?: number | undefined;
  readonly quota?: QuotaStatus | undefined;
  readonly reviews?: { readonly waitingCount: number; readonly itemCount: number } | undefined;
  /** By window: what is in it. */
  readonly windows?: readonly InspectedWindow[] | undefined;
};

export type InspectedWindow = {
  readonly window: string;
  readonly eventCount: number;
  readonly userCount: number;
};

const loose = { additionalProperties: true };

export const TenantInspectionSchema = Type.Object(
  {
    tenant: Type.String(),
    status: Type.Optional(Type.Ref("Tenant#")),
    components: Type.Optional(
      Type.Array(
        Type.Object(
          {
            world: Type.String(),
            digest: Type.String({ description: "Of its code" }),
            imageBytes: Type.Integer(),
            stateHash: Type.String({ description: "SHA-256 of all of its state" }),
            strikeCount: Type.Integer(),
            quarantined: Type.Boolean(),
          },
          loose,
        ),
      ),
    ),
    stored: Type.Optional(
      Type.Object(
        {
          isKept: Type.Boolean(),
          snapshots: Type.Array(Type.Object({}, loose)),
          turnsAfter: Type.Object({}, loose),
        },
        { description: "What its file holds: snapshots, and turns after the newest" },
      ),
    ),
    policyVersion: Type.Optional(Type.Integer()),
    quota: Type.Optional(Type.Ref("TenantQuota#")),
    reviews: Type.Optional(
      Type.Object({ waitingCount: Type.Integer(), itemCount: Type.Integer() }),
    ),
    windows: Type.Optional(Type.Array(Type.Object({}, loose))),
  },
  { $id: "TenantInspection", additionalProperties: false },
);

export const INSPECTION_SCHEMAS: readonly TObject[] = [TenantInspectionSchema];
