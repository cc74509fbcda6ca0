/* Preloaded into a process: while the file FAILING_DISK/fails is there, nothing can be written to the disk or brought to it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
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
FAIL_OR(ssize_t, pwrite, (int file, const void *bytes, size_t size, off_t at), (file, bytes, size, at))
FAIL_OR(ssize_t, pwrite64, (int file, const void *bytes, size_t size, off_t at), (file, bytes, size, at))
FAIL_OR(ssize_t, pwritev, (int file, const struct iovec *parts, int count, off_t at), (file, parts, count, at))
