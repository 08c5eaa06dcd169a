/** Components that tenants run: which there are, how many tenants, and who moved between them. */

/** What may become of a tenant that is to move to another component. */
export const UPGRADE_RESULTS = [
  "moved",
  /** One of the two components does not hand over states, or take them in. */
  "notPortable",
  /** Of the one that hands over: trapped, took too long, broke the contract. */
  "exportFailed",
  /** Of the one that takes in, the same; and that it refused, in its own words. */
  "importFailed",
  "importRefused",
  /** Its image would be larger than an image may be, or there is no room for it now. */
  "tooLarge",
  "noRoom",
] as const;

export type UpgradeResult = (typeof UPGRADE_RESULTS)[number];
export type UpgradeCounts = Readonly<Record<UpgradeResult, number>>;

export type ComponentTenants = {
  readonly world: "summarizer" | "moderator";
  /** SHA-256, or its hash with the weights' name: hexadecimal, cut. */
  readonly component: string;
  readonly tenants: number;
};

/** Of one shard. */
export type ComponentStats = {
  readonly components: readonly ComponentTenants[];
  readonly upgrades: UpgradeCounts;
};

/** Digits of a component's digest where people read it. */
export const COMPONENT_DIGITS = 12;

export function newUpgradeCounts(): Record<UpgradeResult, number> {
  return Object.fromEntries(UPGRADE_RESULTS.map((each) => [each, 0])) as Record<
    UpgradeResult,
    number
  >;
}
