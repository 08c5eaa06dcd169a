/* SPDX-License-Identifier: GPL-2.0 */
/* TLB flushes by reason, while a thread of the process was on the CPU. About 0.1 us each. */
#include "telemetry.h"

struct nx_tlb_flushes {
	__u64 by_reason[NX_TLB_REASONS];
};

NX_SHARED_ARRAY(nx_counters, struct nx_tlb_flushes, 1); /* [cpu] */

SEC("tp_btf/tlb_flush")
int BPF_PROG(nx_tlb_flush, int reason, unsigned long pages)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct nx_tlb_flushes *here;

	if (nx_current_is_watched() && (here = bpf_map_lookup_elem(&nx_counters, &cpu)))
		__sync_fetch_and_add(&here->by_reason[reason & (NX_TLB_REASONS - 1)], 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
