/* Preloaded: the tenth time that the program gives back the pages of a file without a name which it has mapped, that file is cut to
   nothing. A look at them is then SIGBUS, as on a disk that cannot read them. Makes the file LOST_PAGES_TOLD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int mapped = -1;  // the file of the last such mapping

void* mmap(void* where, size_t size, int protection, int flags, int fd, off_t at) {
  static void* (*next)(void*, size_t, int, int, int, off_t);
  struct stat status;
  if (!next) next = (void* (*)(void*, size_t, int, int, int, off_t))dlsym(RTLD_NEXT, "mmap");
  if (fd >= 0 && (flags & MAP_SHARED) && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 0) mapped = fd;
  return next(where, size, protection, flags, fd, at);
}

void* mmap64(void* where, size_t size, int protection, int flags, int fd, off_t at) {
  return mmap(where, size, protection, flags, fd, at);
}

int madvise(void* where, size_t size, int advice) {
  static int (*next)(void*, size_t, int);
  static int count;
  const char* told = getenv("LOST_PAGES_TOLD");
  if (!next) next = (int (*)(void*, size_t, int))dlsym(RTLD_NEXT, "madvise");
  const int result = next(where, size, advice);
  if (mapped >= 0 && told && __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST) == 10 && ftruncate(mapped, 0) == 0)
    close(open(told, O_CREAT | O_WRONLY, 0600));
  return result;
}
