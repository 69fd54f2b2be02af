/* Preloaded: every second call of these moves less than was asked for, as the kernel may do at any time. Makes the file
   SHORT_IO when it did. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static size_t shorter(size_t count) {
  static atomic_uint calls;
  if (count < 2 || atomic_fetch_add(&calls, 1) % 2 == 1) return count;
  static atomic_flag told = ATOMIC_FLAG_INIT;
  const char* path = getenv("SHORT_IO");
  if (path && !atomic_flag_test_and_set(&told)) close(open(path, O_CREAT | O_WRONLY, 0600));
  return count / 2 + 1;
}

#define SHORT(result, name, parameters, arguments)            \
  result name parameters {                                    \
    static result(*next) parameters;                          \
    if (!next) next = (result(*) parameters)dlsym(RTLD_NEXT, #name); \
    count = shorter(count);                                   \
    return next arguments;                                    \
  }

SHORT(ssize_t, read, (int fd, void* bytes, size_t count), (fd, bytes, count))
SHORT(ssize_t, write, (int fd, const void* bytes, size_t count), (fd, bytes, count))
SHORT(ssize_t, pread64, (int fd, void* bytes, size_t count, off64_t at), (fd, bytes, count, at))
SHORT(ssize_t, pread, (int fd, void* bytes, size_t count, off_t at), (fd, bytes, count, at))
SHORT(ssize_t, pwrite64, (int fd, const void* bytes, size_t count, off64_t at), (fd, bytes, count, at))
SHORT(ssize_t, pwrite, (int fd, const void* bytes, size_t count, off_t at), (fd, bytes, count, at))
SHORT(ssize_t, copy_file_range, (int from, off64_t* from_at, int to, off64_t* to_at, size_t count, unsigned flags),
      (from, from_at, to, to_at, count, flags))
SHORT(ssize_t, sendfile64, (int to, int from, off64_t* at, size_t count), (to, from, at, count))
