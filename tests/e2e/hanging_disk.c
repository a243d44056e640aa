// For LD_PRELOAD: writes and syncs of a file whose path contains SC_TEST_DISK_FILE hang while the
// file SC_TEST_DISK_SWITCH exists, as with a disk or an NFS server that does not answer.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static void hang_if_asked(int fd) {
  const char *wanted = getenv("SC_TEST_DISK_FILE");
  const char *asked = getenv("SC_TEST_DISK_SWITCH");
  char link[64];
  char path[4096];
  ssize_t size;
  const struct timespec pause = {0, 5000000};
  if (!wanted || !asked || access(asked, F_OK) != 0) return;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  size = readlink(link, path, sizeof path - 1);
  if (size < 0) return;
  path[size] = '\0';
  if (!strstr(path, wanted)) return;
  while (access(asked, F_OK) == 0) nanosleep(&pause, NULL);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset) {
  static ssize_t (*real)(int, const void *, size_t, off64_t);
  if (!real) real = (ssize_t(*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
  hang_if_asked(fd);
  return real(fd, bytes, size, offset);
}

int fdatasync(int fd) {
  static int (*real)(int);
  if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  hang_if_asked(fd);
  return real(fd);
}

int fsync(int fd) {
  static int (*real)(int);
  if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  hang_if_asked(fd);
  return real(fd);
}
