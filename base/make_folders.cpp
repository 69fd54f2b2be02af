#include "base/make_folders.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/error.h"

namespace lay {

namespace {

/// Empty for what has nothing above it that could be made.
std::string parent_of(const std::string& path) {
  const std::size_t end = path.find_last_not_of('/');
  const std::size_t slash = path.find_last_of('/', end);
  return end == std::string::npos || slash == std::string::npos ? "" : path.substr(0, slash);
}

}  // namespace

bool make_folders(const std::string& path, mode_t mode, mode_t parents) {
  // Most of the time nothing is missing
  if (::mkdirat(AT_FDCWD, path.c_str(), mode) == 0) return true;
  if (errno == EEXIST) return false;
  const std::string parent = parent_of(path);
  if (errno != ENOENT || parent.empty()) throw Error::from_errno("create folder '{}'", path);
  make_folders(parent, parents, parents);
  if (::mkdirat(AT_FDCWD, path.c_str(), mode) == 0) return true;
  if (errno == EEXIST) return false;
  throw Error::from_errno("create folder '{}'", path);
}

}  // namespace lay
