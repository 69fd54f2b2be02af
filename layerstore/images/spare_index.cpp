#include "images/spare_index.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include <exception>
#include <optional>

#include "base/error.h"
#include "base/syscalls.h"
#include "store/store_file.h"

namespace lay::layerstore {

namespace {

constexpr const char* kFolder = "ingest";  // whose sweep takes folders alone
constexpr const char* kSpare = ".spare-index";
constexpr std::size_t kStep = 16384;  // so that not every name that is added makes it larger
constexpr std::size_t kStatBlock = 512;

bool has_room(const struct ::stat& status, std::size_t size) {
  return static_cast<std::size_t>(status.st_blocks) * kStatBlock >= size;
}

/// The spare was the index once: a copy of the store by hard links may have it still, and a power cut in the
/// exchange may have left both names on one file.
bool is_spare_alone(const struct ::stat& spare, const UniqueFd& root, const std::string& index) {
  const auto used = sys::try_stat_at(root, index);
  return S_ISREG(spare.st_mode) && spare.st_nlink == 1 && !(used && used->st_ino == spare.st_ino);
}

/// Who began to read it as the index may not be done: fcntl(2), "Leases". Who opens it just now is announced
/// by a signal that nobody minds, where SIGIO would end lay.
bool is_read(const UniqueFd& file) {
  if (::fcntl(file.get(), F_SETSIG, SIGURG) < 0 || ::fcntl(file.get(), F_SETLEASE, F_WRLCK) < 0) return true;
  return ::fcntl(file.get(), F_SETLEASE, F_UNLCK) < 0;
}

/// The spare, to be written; empty when there is none or others may have it.
std::optional<UniqueFd> open_spare(const UniqueFd& folder, const UniqueFd& root, const std::string& index) {
  auto file = sys::try_open_at(folder, kSpare, O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!file || !is_spare_alone(sys::stat_of(*file), root, index) || is_read(*file)) return std::nullopt;
  return file;
}

/// Its blocks stay its own as long as it is not cut before it has the new text.
void fill(const UniqueFd& file, std::string_view text) {
  sys::write_all(file, text);
  sys::ftruncate(file, text.size());
  sys::fsync(file);
}

}  // namespace

void keep_spare_index(const UniqueFd& root, const std::string& index, std::size_t size) noexcept {
  try {
    const UniqueFd folder = sys::open_dir(root, kFolder);
    if (const auto status = sys::try_stat_at(folder, kSpare)) {
      const bool is_alone = is_spare_alone(*status, root, index);
      if (is_alone && has_room(*status, size)) return;
      if (!is_alone) sys::unlink_at(folder, kSpare);
    }
    const UniqueFd file = sys::open_at(folder, kSpare, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
    keep_blocks(file);  // where it is a new one
    const std::size_t wanted = (size / kStep + 1) * kStep;
    static_cast<void>(::fallocate(file.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(wanted)));
  } catch (const std::exception&) {
    // It is missed only by who removes a name from a full disk
  }
}

bool try_publish_in_spare(const UniqueFd& root, const std::string& index, std::string_view text) {
  const UniqueFd folder = sys::open_dir(root, kFolder);
  try {
    const auto file = open_spare(folder, root, index);
    if (!file) return false;
    fill(*file, text);
    if (!try_exchange(folder, kSpare, root, index)) sys::rename_at(folder, kSpare, root, index);
  } catch (const Error& error) {
    if (error.code() != Errc::no_space) throw;
    return false;
  }
  sys::fsync(root);
  sys::fsync(folder);
  return true;
}

}  // namespace lay::layerstore
