/* Refuses locks of files below the folder NO_LOCKS_UNDER with the error NO_LOCKS_ERRNO, as file systems
   without locks do: NFS without lockd says ENOLCK, Lustre without its option 'flock' ENOSYS. For LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int refused(int descriptor) {
  char link[64], path[PATH_MAX] = "";
  const char *under = getenv("NO_LOCKS_UNDER");
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  if (readlink(link, path, sizeof path - 1) < 0 || strncmp(path, under, strlen(under))) return 0;
  errno = atoi(getenv("NO_LOCKS_ERRNO"));
  return 1;
}

#define FCNTL(NAME)                                                                              \
  int NAME(int descriptor, int command, ...) {                                                   \
    va_list arguments;                                                                           \
    va_start(arguments, command);                                                                \
    void *argument = va_arg(arguments, void *);                                                  \
    va_end(arguments);                                                                           \
    int is_lock = command == F_SETLK || command == F_SETLKW || command == F_GETLK;               \
    if (is_lock && refused(descriptor)) return -1;                                               \
    int (*real)(int, int, ...) = (int (*)(int, int, ...))dlsym(RTLD_NEXT, #NAME);                \
    return real(descriptor, command, argument);                                                  \
  }
FCNTL(fcntl)
FCNTL(fcntl64)

int flock(int descriptor, int operation) {
  int (*real)(int, int) = (int (*)(int, int))dlsym(RTLD_NEXT, "flock");
  return refused(descriptor) ? -1 : real(descriptor, operation);
}
