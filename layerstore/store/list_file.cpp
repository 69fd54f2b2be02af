#include "store/list_file.h"

#include <fcntl.h>

#include "base/error.h"
#include "base/syscalls.h"
#include "store/store_file.h"

namespace lay::layerstore {

namespace {

constexpr std::size_t kMaxList = 256 * 1024 * 1024;

}  // namespace

std::string join_list(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += item + '\0';
  return text;
}

std::vector<std::string> read_list(const UniqueFd& dir, const std::string& name) {
  const auto file = try_open_regular(dir, name);
  if (!file) return {};
  const std::string text = sys::read_all(*file, kMaxList);
  std::vector<std::string> items;
  for (std::size_t begin = 0; begin < text.size();) {
    items.emplace_back(text.c_str() + begin);
    begin += items.back().size() + 1;
  }
  return items;
}

void write_list(const UniqueFd& dir, const std::string& name, const std::vector<std::string>& items) {
  if (items.empty()) {
    sys::try_unlink_at(dir, name);
    return;
  }
  const std::string text = join_list(items);
  if (text.size() > kMaxList)  // which nobody could read back
    throw Error::make(Errc::unsupported, "its list '{}' would be longer than {} MiB", name, kMaxList >> 20U)
        .with_hint("make several layers of it");
  const std::string making = name + ".new";
  sys::try_unlink_at(dir, making);  // of one that was killed
  sys::write_all(sys::open_at(dir, making, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600), text);
  sys::rename_at(dir, making, dir, name);
}

}  // namespace lay::layerstore
