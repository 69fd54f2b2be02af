#include "process/own_program.h"

#include <elf.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/mount.h"
#include "base/process_title.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "process/memory_program.h"

namespace lay::runner {

namespace {

constexpr const char* kOwnProgram = "/proc/self/exe";

/// For a program whose mount cannot be cloned: it is another mount namespace's.
UniqueFd copy_to_memory() {
  const UniqueFd from = sys::open_at(sys::cwd(), kOwnProgram, O_RDONLY);
  UniqueFd copy = make_memory_program("lay");
  for (auto rest = static_cast<std::size_t>(sys::stat_of(from).st_size); rest > 0;) {
    const ssize_t count = sys::retry_eintr([&] { return ::sendfile(copy.get(), from.get(), nullptr, rest); });
    if (count <= 0) throw Error::from_errno("copy lay's program");
    rest -= static_cast<std::size_t>(count);
  }
  seal(copy);
  return copy;
}

/// Part of the program as the kernel mapped it, elf(5): whole pages.
struct Segment {
  std::uintptr_t begin = 0;
  std::size_t size = 0;
  off_t offset = 0;
  int protection = 0;
};

#if defined(__LP64__)
using ProgramHeader = Elf64_Phdr;
#endif

std::span<const ProgramHeader> program_headers() {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): getauxval(3) gives addresses as numbers
  return {reinterpret_cast<const ProgramHeader*>(::getauxval(AT_PHDR)), ::getauxval(AT_PHNUM)};
}

std::uintptr_t page_mask() {
  return ~(static_cast<std::uintptr_t>(::getauxval(AT_PAGESZ)) - 1);
}

/// Where the program lies, which is built to lie anywhere.
std::uintptr_t load_bias() {
  for (const ProgramHeader& header : program_headers())
    if (header.p_type == PT_PHDR) return ::getauxval(AT_PHDR) - header.p_vaddr;
  return 0;
}

Segment segment_of(const ProgramHeader& header) {
  const std::uintptr_t first = load_bias() + header.p_vaddr;
  const std::uintptr_t begin = first & page_mask();
  const std::uintptr_t end = (first + header.p_filesz + ~page_mask()) & page_mask();
  return {.begin = begin,
          .size = end - begin,
          .offset = static_cast<off_t>(header.p_offset & page_mask()),
          .protection = ((header.p_flags & PF_R) != 0 ? PROT_READ : 0) |
                        ((header.p_flags & PF_W) != 0 ? PROT_WRITE : 0) |
                        ((header.p_flags & PF_X) != 0 ? PROT_EXEC : 0)};
}

void* address(std::uintptr_t number) {
  return reinterpret_cast<void*>(number);  // NOLINT(performance-no-int-to-ptr)
}

/// What is only read is the same in the file: its pages change places while this code runs in them.
void map_from(const UniqueFd& program, const Segment& segment) {
  if (::mmap(address(segment.begin), segment.size, segment.protection, MAP_PRIVATE | MAP_FIXED, program.get(),
             segment.offset) == MAP_FAILED)
    throw Error::from_errno("map lay's program anew");
}

/// By words, and not by memcpy(3): the sanitizer has poisoned what lies between variables.
[[gnu::no_sanitize("address")]] void copy_words(volatile std::uintptr_t* to, const std::uintptr_t* from,
                                                std::size_t size) {
  for (std::size_t i = 0; i < size / sizeof *from; ++i) to[i] = from[i];
}

/// What it holds goes into memory of no file.
void move_to_memory(const Segment& segment) {
  void* copy = ::mmap(nullptr, segment.size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (copy == MAP_FAILED) throw Error::from_errno("take memory for lay's variables");
  if (segment.protection != PROT_NONE)
    copy_words(static_cast<std::uintptr_t*>(copy), static_cast<const std::uintptr_t*>(address(segment.begin)),
               segment.size);
  if (segment.protection != (PROT_READ | PROT_WRITE) &&
      ::mprotect(copy, segment.size, segment.protection) < 0)
    throw Error::from_errno("protect a copy of lay's memory");
  if (::mremap(copy, segment.size, segment.size, MREMAP_MAYMOVE | MREMAP_FIXED, address(segment.begin)) ==
      MAP_FAILED)
    throw Error::from_errno("move lay's variables");
}

/// As ld.so(8) leaves what it has relocated (-z relro).
void protect(const ProgramHeader& relro) {
  const std::uintptr_t begin = (load_bias() + relro.p_vaddr) & page_mask();
  const std::uintptr_t end = (load_bias() + relro.p_vaddr + relro.p_memsz) & page_mask();
  if (::mprotect(address(begin), end - begin, PROT_READ) < 0)
    throw Error::from_errno("protect lay's variables");
}

void map_all_from(const UniqueFd& program) {
  const ProgramHeader* relro = nullptr;
  for (const ProgramHeader& header : program_headers()) {
    if (header.p_type == PT_GNU_RELRO) relro = &header;
    if (header.p_type != PT_LOAD) continue;
    const Segment segment = segment_of(header);
    if ((segment.protection & PROT_WRITE) != 0)
      move_to_memory(segment);
    else
      map_from(program, segment);
  }
  if (relro != nullptr) protect(*relro);
}

/// A line of /proc/<pid>/maps, proc(5), that is of a file: "begin-end rwxp offset device inode path".
std::optional<Segment> parse_mapping(const std::string& line) {
  Segment segment;
  std::uintptr_t end = 0;
  unsigned long inode = 0;
  std::array<char, 5> rights{};
  if (std::sscanf(line.c_str(), "%lx-%lx %4s %*s %*s %lu", &segment.begin, &end, rights.data(), &inode) !=
          4 ||
      inode == 0)
    return std::nullopt;
  segment.size = end - segment.begin;
  segment.protection = (rights[0] == 'r' ? PROT_READ : 0) | (rights[1] == 'w' ? PROT_WRITE : 0) |
                       (rights[2] == 'x' ? PROT_EXEC : 0);
  return segment;
}

bool is_own(const Segment& mapping) {
  return std::ranges::any_of(program_headers(), [&](const ProgramHeader& header) {
    const Segment segment = segment_of(header);
    return header.p_type == PT_LOAD && mapping.begin >= segment.begin &&
           mapping.begin < segment.begin + segment.size;
  });
}

/// /proc/<pid>/map_files leads to every file that is mapped.
void move_libraries_to_memory() {
  constexpr std::size_t kMostMappings = 1024UL * 1024;
  const std::string maps =
      sys::read_all(sys::open_at(sys::cwd(), "/proc/self/maps", O_RDONLY), kMostMappings);
  std::vector<Segment> mappings;
  for (const std::string& line : split(maps, '\n'))
    if (const auto mapping = parse_mapping(line); mapping && !is_own(*mapping)) mappings.push_back(*mapping);
  for (const Segment& mapping : mappings) move_to_memory(mapping);
}

/// The kernel wants places that are this process's; what they bound only /proc tells.
::prctl_mm_map describe_memory(const UniqueFd& program) {
  const auto heap_end = reinterpret_cast<std::uintptr_t>(::sbrk(0));
  const auto stack = reinterpret_cast<std::uintptr_t>(&heap_end);
  const std::uintptr_t code = load_bias() + ::getauxval(AT_PAGESZ);
  ::prctl_mm_map map{};
  map.start_code = code;
  map.end_code = code + 1;
  map.start_data = map.end_data = code;
  map.start_brk = map.brk = heap_end;
  map.start_stack = map.arg_start = map.arg_end = map.env_start = map.env_end = stack;
  map.exe_fd = static_cast<std::uint32_t>(program.get());
  return map;
}

}  // namespace

UniqueFd open_own_program() {
  return with_context("lay's own program", [] {
    try {
      const UniqueFd mount = clone_tree(sys::cwd(), kOwnProgram, Recursion::no);
      set_mount_attributes(mount, {.set = MOUNT_ATTR_RDONLY}, Recursion::no);
      // Of a file of it the mount cannot be had any more, and so not be made writable
      return sys::open_at(sys::cwd(), fd_path(mount), O_RDONLY);
    } catch (const Error& error) {
      if (error.error_number() != EINVAL) throw;
      return copy_to_memory();
    }
  });
}

void stand_on(UniqueFd program, Libraries libraries) {
  map_all_from(program);
  if (libraries == Libraries::in_memory) move_libraries_to_memory();
  forget_caller();
  const ::prctl_mm_map map = describe_memory(program);
  if (::prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0) == 0) return;
  Error error = Error::from_errno("keep lay's own program out of the container's reach");
  throw Error(Errc::unsupported, error.message(), error.error_number())
      .with_hint("it takes a kernel with CONFIG_CHECKPOINT_RESTORE, and CAP_SYS_ADMIN");
}

}  // namespace lay::runner
