/* SPDX-License-Identifier: GPL-2.0 */
/*
 * System calls of the process, by number. The tracepoint fires for every process of the machine: a
 * call costs some 45 ns more in this one and some 30 ns more in any other.
 */
#include "telemetry.h"

struct nx_system_calls {
	__u64 by_number[NX_SYSTEM_CALLS];
};

NX_SHARED_ARRAY(nx_counters, struct nx_system_calls, 1); /* [cpu] */

SEC("tp_btf/sys_enter")
int BPF_PROG(nx_system_call, void *registers, long number)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct nx_system_calls *here;

	if (nx_current_is_watched() && (here = bpf_map_lookup_elem(&nx_counters, &cpu)))
		__sync_fetch_and_add(&here->by_number[number & (NX_SYSTEM_CALLS - 1)], 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
