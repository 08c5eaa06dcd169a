// SPDX-License-Identifier: Apache-2.0
// Makes the disk fail on demand, under the SQLite of a Node process: loaded with LD_PRELOAD.
//
// FAULT_CONTROL names a file of 6 ints that is shared with whoever runs the test:
//   0 errno of writes, 0: they go well     1 errno of syncs      2 writes still let through
//   3 bytes that a failing write writes before it fails           4 ms that each sync takes more
//   5 count of calls that were made to fail
// Only files whose path begins with FAULT_PREFIX are meant.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { WRITE_ERRNO, SYNC_ERRNO, WRITES_LEFT, TORN_BYTES, SYNC_MS, FAILED_COUNT, CONTROL_INTS };

static volatile int *control;
static const char *prefix;

__attribute__((constructor)) static void open_control(void) {
  const char *path = getenv("FAULT_CONTROL");
  prefix = getenv("FAULT_PREFIX");
  if (path == NULL || prefix == NULL) return;
  int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return;
  void *at = mmap(NULL, CONTROL_INTS * sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (at != MAP_FAILED) control = at;
}

static int is_meant(int file) {
  char link[64], path[4096];
  if (control == NULL) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return strncmp(path, prefix, strlen(prefix)) == 0;
}

static int error_of_write(void) {
  if (control[WRITE_ERRNO] == 0) return 0;
  if (control[WRITES_LEFT] > 0) {
    control[WRITES_LEFT]--;
    return 0;
  }
  control[FAILED_COUNT]++;
  return control[WRITE_ERRNO];
}

typedef ssize_t write_at(int, const void *, size_t, off64_t);

static ssize_t write_or_fail(const char *name, int file, const void *bytes, size_t count,
                             off64_t at) {
  write_at *real = (write_at *)dlsym(RTLD_NEXT, name);
  int error = is_meant(file) ? error_of_write() : 0;
  if (error == 0) return real(file, bytes, count, at);
  size_t torn = control[TORN_BYTES];
  if (torn > 0) real(file, bytes, torn < count ? torn : count, at);
  errno = error;
  return -1;
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
  return write_or_fail("pwrite", file, bytes, count, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
  return write_or_fail("pwrite64", file, bytes, count, at);
}

static int sync_or_fail(const char *name, int file) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  if (!is_meant(file)) return real(file);
  if (control[SYNC_MS] > 0) {
    struct timespec pause = {control[SYNC_MS] / 1000, (control[SYNC_MS] % 1000) * 1000000L};
    nanosleep(&pause, NULL);
  }
  if (control[SYNC_ERRNO] == 0) return real(file);
  // As Linux does it: what was not written is forgotten, and the next sync would go well.
  control[FAILED_COUNT]++;
  errno = control[SYNC_ERRNO];
  return -1;
}

int fsync(int file) { return sync_or_fail("fsync", file); }
int fdatasync(int file) { return sync_or_fail("fdatasync", file); }
