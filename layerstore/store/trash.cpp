#include "layerstore/trash.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/error.h"
#include "base/folder_names.h"
#include "base/remove_tree.h"
#include "base/syscalls.h"
#include "layers/layer_folder.h"
#include "store/store_file.h"

namespace lay::layerstore {

namespace {

constexpr const char* kHalfTree = "tree.gone";
constexpr std::uint64_t kLarge = 64 * 1024 * 1024;  // some 10 ms

/// Of a blob or of a layer. Trees are taken for large: counting them takes as long as removing them.
std::uint64_t size_of(const UniqueFd& folder, const std::string& name) {
  const auto status = sys::try_stat_at(folder, name);
  if (!status) return 0;
  if (!S_ISDIR(status->st_mode)) return static_cast<std::uint64_t>(status->st_size);
  if (sys::try_stat_at(folder, name + "/" + kLayerTree)) return kLarge;
  const auto tar = sys::try_stat_at(folder, name + "/" + kLayerTar);
  return tar ? static_cast<std::uint64_t>(tar->st_size) : 0;
}

/// What a killed process leaves of an unpacked layer must not be taken for the whole.
void remove_in_place(const UniqueFd& folder, const std::string& name) {
  const std::string tree = name + "/" + kLayerTree;
  const auto status = sys::try_stat_at(folder, name);
  if (status && S_ISDIR(status->st_mode) && sys::try_stat_at(folder, tree))
    sys::rename_at(folder, tree, folder, name + "/" + kHalfTree);
  remove_tree(folder, name);
}

std::optional<Ingest> try_begin(const UniqueFd& root) {
  try {
    return Ingest::begin(root);
  } catch (const Error& error) {
    if (error.code() != Errc::no_space) throw;
    return std::nullopt;
  }
}

}  // namespace

Trash::Trash(const UniqueFd& root) : ingest_(try_begin(root)) {}

void Trash::take(const UniqueFd& folder, const std::string& name) {
  if (!ingest_) return remove_in_place(folder, name);
  try {
    sys::rename_at(folder, name, ingest_->dir(), std::to_string(taken_));
    ++taken_;
    return;
  } catch (const Error& error) {
    if (error.error_number() == ENOENT) return;
    if (error.code() != Errc::no_space) throw;
  }
  remove_in_place(folder, name);
}

bool Trash::is_large() const {
  if (!ingest_) return false;
  std::uint64_t size = 0;
  for (const std::string& name : list_names(ingest_->dir())) size += size_of(ingest_->dir(), name);
  return size >= kLarge;
}

}  // namespace lay::layerstore
