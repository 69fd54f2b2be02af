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

UniqueFd open_stdout() {
  if (::isatty(STDOUT_FILENO) != 0)
    throw Error(Errc::invalid, "an archive is nothing for a terminal").with_hint("give a file with -o FILE");
  return UniqueFd{::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)};
}

/// What a link leads to may not be there yet.
UniqueFd open_in_place(const std::string& path, const struct ::stat& there) {
  const int creates = S_ISLNK(there.st_mode) ? O_CREAT : 0;
  return sys::open_at(sys::cwd(), path, O_WRONLY | O_TRUNC | O_NOCTTY | creates, kMode);
}

/// Gives a new file owner and mode of the one whose place it will take; the owner first, for a change of it
/// takes bits off the mode.
bool take_rights(const UniqueFd& file, const struct ::stat& from) {
  return ::fchown(file.get(), from.st_uid, from.st_gid) == 0 &&
         ::fchmod(file.get(), from.st_mode & 07777) == 0;
}

UniqueFd open_folder(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.parent_path();
  return sys::open_at(sys::cwd(), folder.empty() ? "." : folder.string(), O_RDONLY | O_DIRECTORY);
}

}  // namespace

OutputFile::OutputFile(const std::string& path) {
  if (path.empty())
    direct_ = open_stdout();
  else
    open_file(path);
  if (!file_)
    ::signal(SIGPIPE, SIG_IGN);  // a reader that goes away is an error to clean up after, not the end
  sink_.emplace(direct_);
}

void OutputFile::open_file(const std::string& path) {
  struct ::stat there {};
  const bool is_there = ::lstat(path.c_str(), &there) == 0;
  const bool is_replaceable = S_ISREG(there.st_mode) && there.st_nlink == 1;
  if (!is_there || is_replaceable) {
    folder_ = open_folder(path);
    file_.emplace(folder_, std::filesystem::path(path).filename().string(), kMode);
    if (is_there && !take_rights(file_->fd(), there)) file_.reset();
  }
  direct_ = file_ ? sys::dup_fd(file_->fd()) : open_in_place(path, there);
}

void OutputFile::commit() {
  if (file_) file_->publish();
}

}  // namespace lay::cli
