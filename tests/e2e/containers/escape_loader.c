/* Stands in for the loader of a hostile image: whoever is made to execute lay's program inside runs this, and has it
 * open at descriptor 9 when it goes on to /bin/escape. gcc -static -nostdlib, x86-64. */
static long call(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return result;
}

void _start(void) {
  const long path_only = 010000000;
  const long program = call(2, (long)"/proc/self/exe", path_only, 0);
  call(33, program, 9, 0);
  char* words[] = {"escape", "write", "/out/said", 0};
  char* environment[] = {0};
  call(59, (long)"/bin/escape", (long)words, (long)environment);
  call(60, 77, 0, 0);
}
