#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace lay {

/// Replaces one file as a whole: readers see the old content or the new, also after a power cut.
/// Written under a temporary name in the same folder; without commit() nothing has happened.
class AtomicFile {
 public:
  /// `dir` must outlive it; `name` is a plain name within it.
  AtomicFile(const UniqueFd& dir, std::string name, mode_t mode = 0600);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  const UniqueFd& fd() const { return fd_; }
  void write(std::string_view text);
  /// fsync, rename over `name`, fsync of the folder.
  void commit();
  /// Only the rename: readers see the old content or the new, a power cut may lose either. For what a restart
  /// of the machine makes worthless.
  void publish();

 private:
  const UniqueFd& dir_;
  std::string name_;
  std::string temporary_;
  UniqueFd fd_;
};

/// AtomicFile in one call.
void replace_file(const UniqueFd& dir, const std::string& name, std::string_view text, mode_t mode = 0600);

}  // namespace lay
