#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/spill_map.h"
#include "base/spill_memory.h"
#include "base/spill_stack.h"
#include "base/unique_fd.h"
#include "layerstore/store.h"

namespace lay::layerstore {

/// A regular file of a layer of the store.
struct LocalFile {
  std::uint32_t layer = 0;  ///< which of LocalFiles
  std::uint64_t size = 0;
  std::uint64_t offset = 0;    ///< mounted form: where its data begin in the tar
  std::string_view path = {};  ///< tree form: beneath the tree
};

/// Files of the store's layers that may be the same as others: no digests of them are kept, so path and size
/// have to tell which are worth being hashed. Its memory grows with the files that are looked for, and with
/// those of the same sizes, on disk.
class LocalFiles {
 public:
  LocalFiles(const Store& store, const Spill& spill);

  /// Says what is looked for; `path` is cleaned. For all of them before look().
  void want(std::string_view path, std::uint64_t size);
  /// Looks through the layers of the store's images, up to kMaxSources of them, those of images whose name
  /// begins with `like` first. What cannot be read is passed over.
  void look(const std::string& like);

  /// A few, the likeliest first: of that path, whatever their size; of that name and size; of that size.
  std::vector<LocalFile> candidates(std::string_view path, std::uint64_t size);
  /// Whether candidates() has any.
  bool has_candidate(std::string_view path, std::uint64_t size);
  /// Up to a buffer full of its data; 0 at their end.
  std::size_t read(const LocalFile& file, std::span<std::byte> buffer, std::uint64_t offset);

 private:
  static constexpr std::size_t kEach = 4;

  /// Indexes into found_.
  struct Few {
    std::uint32_t count = 0;
    std::array<std::uint32_t, kEach> files{};
  };
  using Table = SpillMap<std::uint64_t, Few>;

  void look_into(const Digest& diff_id);
  void look_into_image(const OpenLayer& layer);
  void look_into_tree(const UniqueFd& tree);
  void look_into_folder(const UniqueFd& tree, const std::string& path, SpillStack<bool>& waiting);
  void note(std::string_view path, const LocalFile& file);
  const UniqueFd& open_in_tree(const LocalFile& file);

  const Store& store_;
  const Spill spill_;
  SpillMemory memory_;
  std::vector<std::uint64_t> paths_;  ///< hashes of what is looked for, sorted by look()
  std::vector<std::uint64_t> sizes_;
  SpillArray<LocalFile> found_;
  Table by_path_;
  Table by_name_;
  Table by_size_;
  std::vector<UniqueFd> layers_;  ///< a tar or a tree each
  std::string opened_path_;       ///< the file of a tree that was read last
  std::uint32_t opened_layer_ = 0;
  UniqueFd opened_;
};

}  // namespace lay::layerstore
