/* Preloaded into a process: while the file FAILING_DISK/fails is there, nothing can be flushed to the disk. The page cache
 * accepts writes, as it does on a disk whose sectors fail. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int fails(void) {
  char path[4096];
  if (getenv("FAILING_DISK") == NULL) return 0;
  snprintf(path, sizeof path, "%s/fails", getenv("FAILING_DISK"));
  return access(path, F_OK) == 0;
}

#define FAIL_OR(type, name, parameters, arguments)                                   \
  type name parameters {                                                             \
    static type(*real) parameters;                                                   \
    if (fails()) {                                                                   \
      errno = EIO;                                                                   \
      return -1;                                                                     \
    }                                                                                \
    if (real == NULL) real = (type(*) parameters)dlsym(RTLD_NEXT, #name);            \
    return real arguments;                                                           \
  }

FAIL_OR(int, fdatasync, (int file), (file))
FAIL_OR(int, fsync, (int file), (file))
FAIL_OR(int, msync, (void *from, size_t length, int flags), (from, length, flags))
