#include "base/list_names.h"

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/error.h"
#include "base/syscalls.h"

namespace lay {

std::vector<std::string> list_names(const UniqueFd& folder) {
  UniqueFd copy = sys::open_dir(folder, ".");
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(copy.get()), &::closedir);
  if (!stream) throw Error::from_errno("list a folder");
  static_cast<void>(copy.release());  // the stream closes it
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) names.emplace_back(entry->d_name);
  if (errno != 0) throw Error::from_errno("list a folder");
  std::erase(names, ".");
  std::erase(names, "..");
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace lay
