/* Preloaded into a process: while the file HELD_DISK/held is there, fdatasync waits. It then writes to the pipe HELD_DISK/waits, and
   continues after a byte from the pipe HELD_DISK/goes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int open_in(const char *name, int flags) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", getenv("HELD_DISK"), name);
  return open(path, flags);
}

int fdatasync(int file) {
  static int (*real)(int);
  char byte = '.';
  int held = getenv("HELD_DISK") == NULL ? -1 : open_in("held", O_RDONLY);
  if (held >= 0) {
    close(held);
    int waits = open_in("waits", O_WRONLY);
    if (write(waits, &byte, 1) != 1) abort();
    close(waits);
    int goes = open_in("goes", O_RDONLY);
    if (read(goes, &byte, 1) != 1) abort();
    close(goes);
  }
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  return real(file);
}
