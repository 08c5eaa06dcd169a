/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Datagrams that the event socket's queue had no room for. They are dropped in whatever context
 * received them, so they are told by the socket's port and not by the process.
 */
#include "telemetry.h"

struct nx_socket_drops {
	__u64 datagrams;
};

NX_SHARED_ARRAY(nx_counters, struct nx_socket_drops, 1); /* [cpu] */

SEC("tp_btf/udp_fail_queue_rcv_skb")
int BPF_PROG(nx_socket_drop, int code, struct sock *socket)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct nx_socket_drops *here;

	if (socket->__sk_common.skc_num == nx_port && (here = bpf_map_lookup_elem(&nx_counters, &cpu)))
		__sync_fetch_and_add(&here->datagrams, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
