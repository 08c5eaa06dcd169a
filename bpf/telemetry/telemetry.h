/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * What the telemetry programs share with user space (src/kernel/telemetry-layout.ts, held to this file
 * by src/kernel/telemetry.test.ts), and the few kernel fields they read, found by CO-RE at load time.
 */
#ifndef NX_TELEMETRY_H
#define NX_TELEMETRY_H
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define NX_THREADS 512
#define NX_BUCKETS 32 /* of log2 of nanoseconds */
#define NX_TLB_REASONS 8
#define NX_SYSTEM_CALLS 512

struct nx_thread {
	__u32 id;
	__u32 preempted; /* when it left its CPU it could have gone on */
	__u64 woken_at, left_at, entered_at; /* CLOCK_MONOTONIC; 0: not so now */
	__u64 on_cpu_ns, run_queue_ns, off_cpu_ns;
	__u64 voluntary, forced, wakeups, migrations;
	__u64 run_queue[NX_BUCKETS];
	__u64 off_cpu[NX_BUCKETS];
};

_Static_assert(sizeof(struct nx_thread) == 600, "thread");

struct nx_thread_counts {
	__u64 used;      /* slots of threads given out */
	__u64 untracked; /* threads for which there was none */
};

/* The process that is watched, and the port of its event socket; the loader writes them. */
const volatile __u32 nx_process = 0;
const volatile __u32 nx_port = 0;

#define NX_SHARED_ARRAY(name, type_, entries)             \
	struct {                                          \
		__uint(type, BPF_MAP_TYPE_ARRAY);         \
		__uint(max_entries, entries);             \
		__type(key, __u32);                       \
		__type(value, type_);                     \
		__uint(map_flags, BPF_F_MMAPABLE);        \
	} name SEC(".maps")

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct task_struct {
	__u32 pid;
	__u32 tgid;
};
struct sock_common {
	unsigned short skc_num;
};
struct sock {
	struct sock_common __sk_common;
};
#pragma clang attribute pop

static __always_inline int nx_current_is_watched(void)
{
	return bpf_get_current_pid_tgid() >> 32 == nx_process;
}
#endif
