#include "output_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <span>
#include <utility>
#include <vector>

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

/// Empty where nothing is there.
std::optional<struct ::stat> try_stat(const std::string& path) {
  struct ::stat there {};
  return ::stat(path.c_str(), &there) == 0 ? std::optional(there) : std::nullopt;
}

/// What a link leads to may not be there yet.
UniqueFd open_in_place(const std::string& path) {
  const auto there = try_stat(path);
  if (there && S_ISFIFO(there->st_mode)) return open_fifo(path);
  return sys::open_at(sys::cwd(), path, O_WRONLY | O_TRUNC | O_NOCTTY | (there ? 0 : O_CREAT), kMode);
}

/// A file without a name in the folder of `path`, where its links end. Empty where there can be none.
std::optional<UniqueFd> try_open_beside(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), std::free);
  if (!real) return std::nullopt;
  const std::string whole = real.get();
  const std::string folder = whole.substr(0, std::max<std::size_t>(whole.rfind('/'), 1));
  const int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, kPrivate);
  if (fd < 0) return std::nullopt;
  return UniqueFd{fd};
}

/// Room for `size` bytes, or no change at all: what lies beyond the end of the file would stay its.
void make_room(const UniqueFd& file, off_t size, const std::string& path) {
  const off_t before = sys::stat_of(file).st_size;
  const auto reserve = [&] { return ::fallocate(file.get(), FALLOC_FL_KEEP_SIZE, 0, size); };
  if (size == 0 || sys::retry_eintr(reserve) == 0 || errno == EOPNOTSUPP) return;
  const Error failure = Error::from_errno("make room for {} bytes in '{}'", size, path);
  if (::ftruncate(file.get(), before) != 0) throw Error::from_errno("give back the room in '{}'", path);
  throw Error(failure).with_hint("what was in it is still there");
}

/// pump() would stop halfway, when the user asks for it, with nothing whole in `to`.
void copy_all(const UniqueFd& from, const UniqueFd& to) {
  std::vector<std::byte> block(256 * 1024);
  while (const std::size_t count = sys::read_some(from, block))
    sys::write_all(to, std::span(block).first(count));
}

/// `to` gets the bytes of `from`, having first the room for them: then nothing is left to fail but the disk.
void write_over(const UniqueFd& from, const UniqueFd& to, const std::string& path) {
  throw_if_cancelled();
  const off_t size = sys::stat_of(from).st_size;
  make_room(to, size, path);
  if (::lseek(from.get(), 0, SEEK_SET) < 0) throw Error::from_errno("read what is to be in '{}'", path);
  copy_all(from, to);
  if (::ftruncate(to.get(), size) != 0) throw Error::from_errno("end '{}' after {} bytes", path, size);
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
  if (file_) {
    direct_ = sys::dup_fd(file_->fd());
    return;
  }
  const auto there = try_stat(path);
  auto beside = there && S_ISREG(there->st_mode) ? try_open_beside(path) : std::nullopt;
  if (!beside) {
    direct_ = open_in_place(path);
    return;
  }
  overwrite_ = sys::open_at(sys::cwd(), path, O_WRONLY | O_NOCTTY);
  path_ = path;
  direct_ = *std::move(beside);
}

void OutputFile::commit() {
  if (file_) file_->publish();
  if (overwrite_) write_over(direct_, *overwrite_, path_);
}

}  // namespace lay::cli
