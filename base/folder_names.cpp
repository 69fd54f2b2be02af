#include "base/folder_names.h"

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/error.h"
#include "base/syscalls.h"

namespace lay {

void visit_names(const UniqueFd& dir, const std::function<bool(std::string_view)>& visit) {
  struct Close {
    void operator()(DIR* stream) const { ::closedir(stream); }
  };
  UniqueFd fd = sys::open_dir(dir, ".");  // the stream moves the offset and closes its descriptor
  const std::unique_ptr<DIR, Close> stream(::fdopendir(fd.get()));
  if (!stream) throw Error::from_errno("list a folder");
  fd.release();
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != ".." && !visit(name)) return;
    errno = 0;
  }
  if (errno != 0) throw Error::from_errno("list a folder");
}

std::vector<std::string> list_names(const UniqueFd& dir) {
  std::vector<std::string> names;
  visit_names(dir, [&](std::string_view name) {
    names.emplace_back(name);
    return true;
  });
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> list_visible_names(const UniqueFd& dir) {
  std::vector<std::string> names = list_names(dir);
  std::erase_if(names, [](const std::string& name) { return name.starts_with('.'); });
  return names;
}

}  // namespace lay
