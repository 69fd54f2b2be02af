#include "layers/layer_image.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/error.h"
#include "base/syscalls.h"
#include "erofs/erofs_writer.h"
#include "layerstore/digest.h"
#include "store/list_file.h"

namespace lay::layerstore {

namespace {

constexpr std::size_t kBuffer = 128 * 1024;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

/// Of the blocks that went through `hasher`.
std::string seal(Hasher& hasher, std::uint64_t tar_size, const StackedFolders& folders) {
  hasher.update(bytes_of(join_list(folders.implied) + '\0' + join_list(folders.with_whiteouts) + '\0' +
                         std::to_string(tar_size)));
  if (!folders.entered.empty()) hasher.update(bytes_of('\0' + join_list(folders.entered)));
  return hasher.finish().hex();
}

/// Passes on what it hashes.
class SealedSink final : public ByteSink {
 public:
  explicit SealedSink(ByteSink& next) : next_(next) {}
  void write(std::span<const std::byte> bytes) override {
    hasher_.update(bytes);
    next_.write(bytes);
  }
  void close(std::uint64_t tar_size, const StackedFolders& folders) {
    next_.write(bytes_of(seal(hasher_, tar_size, folders)));
  }

 private:
  ByteSink& next_;
  Hasher hasher_;
};

}  // namespace

void write_layer_image(const LayerTree& tree, std::uint64_t tar_size, const StackedFolders& folders,
                       ByteSink& out) {
  SealedSink sealed(out);
  write_erofs(tree, tar_size, sealed);
  sealed.close(tar_size, folders);
}

bool has_good_seal(const UniqueFd& image, const UniqueFd& tar, const StackedFolders& folders) {
  const auto size = static_cast<std::uint64_t>(sys::stat_of(image).st_size);
  if (size < kSealSize) return false;
  Hasher hasher;
  std::vector<std::byte> buffer(kBuffer);
  std::uint64_t offset = 0;
  while (offset < size - kSealSize) {
    const std::uint64_t due = std::min<std::uint64_t>(buffer.size(), size - kSealSize - offset);
    const std::size_t count = sys::pread_some(image, std::span(buffer).first(due), offset);
    if (count == 0) return false;
    hasher.update(std::span(buffer).first(count));
    offset += count;
  }
  std::array<char, kSealSize> found{};
  const std::size_t count = sys::pread_full(image, std::as_writable_bytes(std::span(found)), offset);
  const auto tar_size = static_cast<std::uint64_t>(sys::stat_of(tar).st_size);
  return std::string_view(found.data(), count) == seal(hasher, tar_size, folders);
}

std::string_view load_layer_image(const UniqueFd& image, SpillMemory& memory) {
  constexpr std::size_t kStep = 256 * 1024;
  const auto whole = static_cast<std::size_t>(sys::stat_of(image).st_size);
  if (whole < kSealSize) throw Error(Errc::corrupt, "its image ends too early");
  const std::size_t size = whole - kSealSize;
  const std::span<std::byte> text(static_cast<std::byte*>(memory.allocate(size, 1)), size);
  for (std::size_t offset = 0; offset < size; memory.page_out()) {
    const std::size_t due = std::min(size - offset, kStep);
    const std::size_t count = sys::pread_some(image, text.subspan(offset, due), offset);
    if (count == 0) throw Error(Errc::corrupt, "its image ends while it is read");
    offset += count;
  }
  return {reinterpret_cast<const char*>(text.data()), text.size()};
}

}  // namespace lay::layerstore
