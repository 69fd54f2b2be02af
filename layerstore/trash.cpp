#include "layerstore/trash.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/error.h"
#include "base/folder_names.h"
#include "base/syscalls.h"
#include "layer_folder.h"
#include "store_file.h"

namespace lay::layerstore {

namespace {

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

}  // namespace

void Trash::take(const UniqueFd& folder, const std::string& name) {
  try {
    sys::rename_at(folder, name, ingest_.dir(), std::to_string(taken_));
  } catch (const Error& error) {
    if (error.error_number() != ENOENT) throw;
    return;
  }
  ++taken_;
}

bool Trash::is_large() const {
  std::uint64_t size = 0;
  for (const std::string& name : list_names(ingest_.dir())) size += size_of(ingest_.dir(), name);
  return size >= kLarge;
}

}  // namespace lay::layerstore
