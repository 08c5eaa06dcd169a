/** Bits of a tenant's flags in the batcher. */
export const TENANT_EVENT_CLOCK = 1;
export const TENANT_QUARANTINED = 2;
