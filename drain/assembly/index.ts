// The user-space half of the kernel stage, over one memory that all threads share and into which the
// kernel's tables are mapped where it runs. No static data: every instance would write its own over it.
// The receiver's thread calls `attach`, then what receive.ts exports; a shard's thread calls `attach`,
// `shardInit`, then what collect.ts and batches.ts export. src/kernel/ is the door.
import { attachStage } from "./stage";

export { evictSenders, flip, flipReady, receive, room } from "./receive";
export { collect, collected, compact, deliver, gathered, shardInit } from "./collect";
export {
  batchCount,
  batchTable,
  bindTenant,
  emit,
  emitPicked,
  neededName,
  pick,
  pickName,
  refuseTenant,
  resetOutput,
  unbind,
} from "./batches";

export function attach(): void {
  attachStage();
}
