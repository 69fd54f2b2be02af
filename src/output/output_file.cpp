#include "output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "base/error.h"
#include "base/syscalls.h"

namespace lay::cli {

namespace {

constexpr mode_t kMode = 0644;

/// stdout, or what is there already and is no file that could be replaced; empty for a file to be made.
UniqueFd open_direct(const std::string& path) {
  if (path.empty()) {
    if (::isatty(STDOUT_FILENO) != 0)
      throw Error(Errc::invalid, "an archive is nothing for a terminal")
          .with_hint("give a file with -o FILE");
    ::signal(SIGPIPE, SIG_IGN);  // a reader that goes away is an error to clean up after, not the end
    return UniqueFd{::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)};
  }
  struct ::stat status {};
  if (::stat(path.c_str(), &status) < 0 || S_ISREG(status.st_mode)) return {};
  return sys::open_at(sys::cwd(), path, O_WRONLY);
}

UniqueFd open_folder(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.parent_path();
  return sys::open_at(sys::cwd(), folder.empty() ? "." : folder.string(), O_RDONLY | O_DIRECTORY);
}

}  // namespace

OutputFile::OutputFile(const std::string& path) : direct_(open_direct(path)) {
  if (!direct_) open_file(path);
  sink_.emplace(direct_);
}

void OutputFile::open_file(const std::string& path) {
  folder_ = open_folder(path);
  file_.emplace(folder_, std::filesystem::path(path).filename().string(), kMode);
  direct_ = sys::dup_fd(file_->fd());
}

void OutputFile::commit() {
  if (file_) file_->publish();
}

}  // namespace lay::cli
