#include "base/atomic_file.h"

#include <fcntl.h>

#include <utility>

#include "base/syscalls.h"

namespace lay {

AtomicFile::AtomicFile(const UniqueFd& dir, std::string name, mode_t mode)
    : dir_(dir),
      name_(std::move(name)),
      temporary_("." + name_ + "." + sys::random_hex(8)),
      fd_(sys::open_at(dir, temporary_, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode)) {}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlinkat(dir_.get(), temporary_.c_str(), 0);
}

void AtomicFile::write(std::string_view text) {
  sys::write_all(fd_, text);
}

void AtomicFile::commit() {
  sys::fsync(fd_);
  publish();
  sys::fsync(dir_);
}

void AtomicFile::publish() {
  sys::rename_at(dir_, temporary_, dir_, name_);
  temporary_.clear();
}

void replace_file(const UniqueFd& dir, const std::string& name, std::string_view text, mode_t mode) {
  AtomicFile file(dir, name, mode);
  file.write(text);
  file.commit();
}

}  // namespace lay
