#include "spare_index.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <exception>

#include "base/error.h"
#include "base/syscalls.h"
#include "store_file.h"

namespace lay::layerstore {

namespace {

constexpr const char* kFolder = "ingest";  // whose sweep takes folders alone
constexpr const char* kSpare = ".spare-index";
constexpr std::size_t kStep = 16384;  // so that not every name that is added makes it larger
constexpr std::size_t kStatBlock = 512;

bool is_large_enough(const struct ::stat& status, std::size_t size) {
  return S_ISREG(status.st_mode) && static_cast<std::size_t>(status.st_blocks) * kStatBlock >= size;
}

/// It was the index once, and who began to read it then may not be done: fcntl(2), "Leases".
bool is_read(const UniqueFd& file) {
  if (::fcntl(file.get(), F_SETLEASE, F_WRLCK) < 0) return true;
  return ::fcntl(file.get(), F_SETLEASE, F_UNLCK) < 0;
}

/// Its blocks stay its own as long as it is not cut before it has the new text.
void fill(const UniqueFd& file, std::string_view text) {
  sys::write_all(file, text);
  if (::ftruncate(file.get(), static_cast<off_t>(text.size())) < 0) throw Error::from_errno("cut a file");
  sys::fsync(file);
}

}  // namespace

void keep_spare_index(const UniqueFd& root, std::size_t size) noexcept {
  try {
    const UniqueFd folder = sys::open_dir(root, kFolder);
    if (const auto status = sys::try_stat_at(folder, kSpare); status && is_large_enough(*status, size))
      return;
    const UniqueFd file = sys::open_at(folder, kSpare, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
    const std::size_t wanted = (size / kStep + 1) * kStep;
    static_cast<void>(::fallocate(file.get(), 0, 0, static_cast<off_t>(wanted)));
  } catch (const std::exception&) {
    // It is missed only by who removes a name from a full disk
  }
}

bool try_publish_in_spare(const UniqueFd& root, const std::string& name, std::string_view text) {
  const UniqueFd folder = sys::open_dir(root, kFolder);
  try {
    const auto file = sys::try_open_at(folder, kSpare, O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!file || !S_ISREG(sys::stat_of(*file).st_mode) || is_read(*file)) return false;
    fill(*file, text);
    if (!try_exchange(folder, kSpare, root, name)) sys::rename_at(folder, kSpare, root, name);
  } catch (const Error& error) {
    if (error.code() != Errc::no_space) throw;
    return false;
  }
  sys::fsync(root);
  return true;
}

}  // namespace lay::layerstore
