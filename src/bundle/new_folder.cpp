#include "bundle/new_folder.h"

#include <fcntl.h>

#include <cerrno>
#include <exception>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/folder_names.h"
#include "base/remove_tree.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "images/source_path.h"

namespace lay::cli {

namespace {

constexpr std::size_t kRandomBytes = 8;

std::filesystem::path absolute_path(const std::string& text) {
  return plain_path(std::filesystem::absolute(text).string());
}

Error is_taken(const std::string& name, const char* why) {
  return Error::make(Errc::exists, "'{}' {}", printable(name), why)
      .with_hint("name a folder that is not there yet, or an empty one");
}

}  // namespace

NewFolder::NewFolder(const std::string& path) : name_(absolute_path(path).filename()) {
  if (name_.empty()) throw is_taken(path, "is the root folder");
  parent_ = open_source(absolute_path(path).parent_path(), O_RDONLY | O_DIRECTORY);
  if (const auto status = sys::try_stat_at(parent_, name_)) {
    if (!S_ISDIR(status->st_mode)) throw is_taken(path, "is there already, and is no folder");
    if (!list_names(sys::open_dir(parent_, name_)).empty()) throw is_taken(path, "is not empty");
  }
  temporary_ = fmt::format(".{}.lay-{}", name_.substr(0, 200), sys::random_hex(kRandomBytes));
  sys::mkdir_at(parent_, temporary_, 0700);
  dir_ = sys::open_dir(parent_, temporary_);
}

NewFolder::~NewFolder() {
  if (temporary_.empty()) return;
  try {
    remove_tree(parent_, temporary_);
  } catch (const std::exception&) {
    // What cannot be removed stays under its hidden name
  }
}

void NewFolder::commit() {
  try {
    sys::rename_at(parent_, temporary_, parent_, name_);
  } catch (const Error& error) {
    if (error.error_number() != ENOTEMPTY && error.error_number() != EEXIST) throw;
    throw is_taken(name_, "was filled by somebody else meanwhile");
  }
  temporary_.clear();
}

}  // namespace lay::cli
