/** System calls that a server makes, by number; others are shown by number. */
const X64 =
  "0 read,1 write,2 open,3 close,4 stat,5 fstat,6 lstat,7 poll,8 lseek,9 mmap,10 mprotect," +
  "11 munmap,12 brk,13 rt_sigaction,14 rt_sigprocmask,16 ioctl,17 pread64,18 pwrite64," +
  "19 readv,20 writev,21 access,22 pipe,24 sched_yield,25 mremap,28 madvise,32 dup," +
  "35 nanosleep,39 getpid,41 socket,42 connect,43 accept,44 sendto,45 recvfrom,46 sendmsg," +
  "47 recvmsg,48 shutdown,49 bind,50 listen,51 getsockname,54 setsockopt,55 getsockopt," +
  "56 clone,60 exit,61 wait4,62 kill,72 fcntl,74 fsync,75 fdatasync,77 ftruncate," +
  "96 gettimeofday,98 getrusage,157 prctl,186 gettid,202 futex,217 getdents64," +
  "228 clock_gettime,230 clock_nanosleep,232 epoll_wait,233 epoll_ctl,257 openat," +
  "262 newfstatat,270 pselect6,271 ppoll,281 epoll_pwait,288 accept4,290 eventfd2," +
  "299 recvmmsg,302 prlimit64,307 sendmmsg,318 getrandom,321 bpf,324 membarrier,332 statx," +
  "334 rseq,425 io_uring_setup,426 io_uring_enter,435 clone3,441 epoll_pwait2";

const names = new Map(
  process.arch === "x64"
    ? X64.split(",").map((entry) => {
        const [number, name] = entry.split(" ");
        return [Number(number), name!] as const;
      })
    : [],
);

export function systemCallName(number: number): string {
  return names.get(number) ?? `${number}`;
}
