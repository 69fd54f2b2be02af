/* Preloaded: reading a file whose inode is among those of BAD_SECTOR fails with EIO, as a disk with a bad sector has it. A file that
   takes its place is good. Makes the file BAD_SECTOR_TOLD when it did. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <linux/prctl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static int is_confined;

/* Behind PR_SET_SECCOMP a process may not ask what it reads. */
int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
  static int (*next)(int, unsigned long, unsigned long, unsigned long, unsigned long);
  if (!next) next = (int (*)(int, unsigned long, unsigned long, unsigned long, unsigned long))dlsym(RTLD_NEXT, "prctl");
  if (option == PR_SET_SECCOMP) is_confined = 1;
  return next(option, a, b, c, d);
}

static int is_bad(int fd) {
  struct stat status;
  const char* inodes = getenv("BAD_SECTOR");  // each followed by a space
  const char* told = getenv("BAD_SECTOR_TOLD");
  if (is_confined || !inodes || fstat(fd, &status) != 0) return 0;
  while (strtoull(inodes, NULL, 10) != status.st_ino)
    if (!(inodes = strchr(inodes, ' ')) || !*++inodes) return 0;
  if (told) close(open(told, O_CREAT | O_WRONLY, 0600));
  errno = EIO;
  return 1;
}

#define BAD(name, parameters, arguments)                               \
  ssize_t name parameters {                                            \
    static ssize_t(*next) parameters;                                  \
    if (!next) next = (ssize_t(*) parameters)dlsym(RTLD_NEXT, #name);  \
    return is_bad(from) ? -1 : next arguments;                         \
  }

BAD(read, (int from, void* bytes, size_t count), (from, bytes, count))
BAD(pread64, (int from, void* bytes, size_t count, off64_t at), (from, bytes, count, at))
BAD(pread, (int from, void* bytes, size_t count, off_t at), (from, bytes, count, at))
BAD(copy_file_range, (int from, off64_t* from_at, int to, off64_t* to_at, size_t count, unsigned flags),
    (from, from_at, to, to_at, count, flags))
BAD(sendfile64, (int to, int from, off64_t* at, size_t count), (to, from, at, count))
