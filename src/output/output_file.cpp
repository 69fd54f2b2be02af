#include "output_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "base/cancel.h"
#include "base/error.h"
#include "base/syscalls.h"
#include "file_place.h"

namespace lay::cli {

namespace {

constexpr mode_t kMode = 0644;
constexpr mode_t kPrivate = 0600;

UniqueFd open_stdout() {
  if (::isatty(STDOUT_FILENO) != 0)
    throw Error(Errc::invalid, "an archive is nothing for a terminal").with_hint("give a file with -o FILE");
  return UniqueFd{::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)};
}

/// Waits for a reader, as open(2) does, but not beyond the user's wish to stop. The kernel tells nobody that
/// a reader has come: it is asked again and again.
UniqueFd open_fifo(const std::string& path) {
  constexpr int kPause = 20;  // ms
  for (;;) {
    throw_if_cancelled();
    try {
      UniqueFd fifo = sys::open_at(sys::cwd(), path, O_WRONLY | O_NONBLOCK);
      ::fcntl(fifo.get(), F_SETFL, O_WRONLY);
      return fifo;
    } catch (const Error& error) {
      if (error.error_number() != ENXIO) throw;
    }
    ::pollfd stop{cancel_descriptor(), POLLIN, 0};
    ::poll(&stop, 1, kPause);
  }
}

/// What a link leads to may not be there yet.
UniqueFd open_in_place(const std::string& path) {
  struct ::stat there {};
  const bool is_there = ::stat(path.c_str(), &there) == 0;
  if (is_there && S_ISFIFO(there.st_mode)) return open_fifo(path);
  return sys::open_at(sys::cwd(), path, O_WRONLY | O_TRUNC | O_NOCTTY | (is_there ? 0 : O_CREAT), kMode);
}

/// Gives a new file owner and mode of the one whose place it will take; the owner first, for a change of it
/// takes bits off the mode. Set-user-ID and the like were given to the old content, not to the new.
bool take_rights(const UniqueFd& file, const struct ::stat& from) {
  return ::fchown(file.get(), from.st_uid, from.st_gid) == 0 &&
         ::fchmod(file.get(), from.st_mode & 0777) == 0;
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
  if (auto place = find_file_place(path)) {
    folder_ = std::move(place->folder);
    // Nobody who may not read the old file may open the new one before it has the same rights
    file_.emplace(folder_, place->name, place->there ? kPrivate : kMode);
    if (place->there && !take_rights(file_->fd(), *place->there)) file_.reset();
  }
  direct_ = file_ ? sys::dup_fd(file_->fd()) : open_in_place(path);
}

void OutputFile::commit() {
  if (file_) file_->publish();
}

}  // namespace lay::cli
