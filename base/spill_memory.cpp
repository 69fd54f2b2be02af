#include "base/spill_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "spill_fault.h"

namespace lay {

namespace {

constexpr std::size_t kBlock = std::size_t{64} * 1024;                  // in memory
constexpr std::size_t kBoundBesideFile = std::size_t{1} * 1024 * 1024;  // there are several at a time
constexpr std::size_t kFileBlock = std::size_t{2} * 1024 * 1024;

std::size_t align_up(std::size_t size, std::size_t unit) {
  return (size + unit - 1) / unit * unit;
}

/// The first `size` bytes of `free` on such a border; empty when they are not there.
std::optional<std::span<std::byte>> cut(std::span<std::byte>& free, std::size_t size, std::size_t alignment) {
  void* place = free.data();
  std::size_t room = free.size();
  if (std::align(alignment, size, place, room) == nullptr) return std::nullopt;
  const std::span<std::byte> result(static_cast<std::byte*>(place), size);
  free = {result.data() + size, room - size};
  return result;
}

UniqueFd open_nameless(const UniqueFd& folder) {
  try {
    return sys::open_at(folder, ".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
  } catch (const Error& error) {
    if (error.error_number() != EOPNOTSUPP && error.error_number() != EISDIR) throw;
  }
  const std::string name = "spill." + sys::random_hex(8);  // nothing that a killed process left is in the way
  UniqueFd file = sys::open_at(folder, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  sys::unlink_at(folder, name);
  return file;
}

}  // namespace

Spill spill_beside(const UniqueFd& folder) {
  return {.open_file = [&folder] { return open_nameless(folder); }, .bound = kBoundBesideFile};
}

SpillMemory::SpillMemory(Spill spill) : spill_(std::move(spill)) {}

SpillMemory::~SpillMemory() = default;

void SpillMemory::Unmap::operator()(std::byte* block) const {
  forget_faults_in(block);
  ::munmap(block, size);
}

void* SpillMemory::do_allocate(std::size_t size, std::size_t alignment) {
  if (const auto place = cut(free_, size, alignment)) return place->data();
  free_ = add_block(size + alignment);
  return cut(free_, size, alignment)->data();
}

std::span<std::byte> SpillMemory::add_block(std::size_t size) {
  const std::size_t in_memory = std::max(size, kBlock);
  if (spill_.open_file && in_memory_ + in_memory > spill_.bound)
    if (const auto block = try_map(align_up(std::max(size, file_size_ / 4), kFileBlock))) return *block;
  blocks_.push_back(std::make_unique_for_overwrite<std::byte[]>(in_memory));
  in_memory_ += in_memory;
  return {blocks_.back().get(), in_memory};
}

/// Empty, now and later, where no file can be had that way.
std::optional<std::span<std::byte>> SpillMemory::try_map(std::size_t size) {
  try {
    if (!file_) file_ = spill_.open_file();
  } catch (const Error& error) {
    if (error.error_number() != EROFS) throw;
    spill_.open_file = nullptr;
    return std::nullopt;
  }
  const auto offset = static_cast<off_t>(file_size_);
  // Not by its first use: a full disk would then be a signal.
  if (const int error = ::posix_fallocate(file_.get(), offset, static_cast<off_t>(size)); error != 0)
    throw Error::from_number(error, fmt::format("take {} bytes for a temporary file", size));
  void* const block = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), offset);
  if (block == MAP_FAILED) {  // NOLINT: the system's constant
    if (errno != ENODEV) throw Error::from_errno("map {} bytes of a temporary file", size);
    spill_.open_file = nullptr;
    return std::nullopt;
  }
  page_out();
  file_size_ += size;
  mapped_.push_back(MappedBlock(static_cast<std::byte*>(block), Unmap{size}));
  explain_faults_in(mapped_.back().get(), size);
  return std::span(mapped_.back().get(), size);
}

/// What is dirty stays in the kernel's cache until it is on disk.
void SpillMemory::page_out() {
  for (const MappedBlock& block : mapped_) ::madvise(block.get(), block.get_deleter().size, MADV_DONTNEED);
}

}  // namespace lay
