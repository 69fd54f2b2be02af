#pragma once

#include <fcntl.h>

#include <array>
#include <cstdlib>
#include <string>

#include "base/remove_tree.h"
#include "base/syscalls.h"
#include "base/unique_fd.h"

namespace lay::test {

/// A folder of the test's own below /var/tmp, removed at the end without entering mounts.
class TempFolder {
 public:
  TempFolder() {
    std::string name = "/var/tmp/lay-test-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
    fd_ = sys::open_dir(sys::cwd(), path_);
  }
  ~TempFolder() {
    try {
      remove_tree(sys::cwd(), path_);
    } catch (const std::exception&) {  // left for a person to look at
    }
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }
  const UniqueFd& fd() const { return fd_; }

 private:
  std::string path_;
  UniqueFd fd_;
};

}  // namespace lay::test
