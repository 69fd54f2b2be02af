#pragma once

#include <fcntl.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

#include "base/remove_tree.h"
#include "base/syscalls.h"
#include "base/unique_fd.h"

namespace lay::test {

/// A folder of the test's own below /var/tmp, removed at the end without entering mounts. A process that
/// still lingers for the bridge may write into it meanwhile, and layers stay mounted in it for two seconds.
class TempFolder {
 public:
  TempFolder() {
    std::string name = "/var/tmp/lay-test-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
    fd_ = sys::open_dir(sys::cwd(), path_);
  }
  ~TempFolder() {
    for (int attempt = 0; attempt < 80 && !is_removed(); ++attempt) {
      std::this_thread::sleep_for(std::chrono::milliseconds{50});
    }
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }
  const UniqueFd& fd() const { return fd_; }

 private:
  bool is_removed() const {
    try {
      remove_tree(sys::cwd(), path_);
    } catch (const std::exception&) {
      return false;
    }
    return true;
  }

  std::string path_;
  UniqueFd fd_;
};

}  // namespace lay::test
