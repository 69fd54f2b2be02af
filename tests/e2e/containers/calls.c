// calls NUMBER[,ARGUMENT]... : makes each system call and prints what it gives, 0 or -errno. "i386:" before it makes it by
// the door for programs of 32 bits, int 0x80.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static long call_i386(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
  return result;
}

int main(int count, char** words) {
  for (int i = 1; i < count; ++i) {
    const int i386 = strncmp(words[i], "i386:", 5) == 0;
    long number = 0, a = 0, b = 0, c = 0;
    sscanf(words[i] + (i386 ? 5 : 0), "%li,%li,%li,%li", &number, &a, &b, &c);
    long result = i386 ? call_i386(number, a, b, c) : syscall(number, a, b, c);
    if (!i386 && result < 0) result = -errno;
    printf("%s%ld", i == 1 ? "" : " ", result < 0 ? result : 0);
  }
  puts("");
  return 0;
}
