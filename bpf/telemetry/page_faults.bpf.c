/* SPDX-License-Identifier: GPL-2.0 */
/* Page faults that the process met in user space. About 0.1 us each. */
#include "telemetry.h"

struct nx_page_faults {
	__u64 user;
};

NX_SHARED_ARRAY(nx_counters, struct nx_page_faults, 1); /* [cpu] */

SEC("tp_btf/page_fault_user")
int BPF_PROG(nx_page_fault, unsigned long address)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct nx_page_faults *here;

	if (nx_current_is_watched() && (here = bpf_map_lookup_elem(&nx_counters, &cpu)))
		__sync_fetch_and_add(&here->user, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
