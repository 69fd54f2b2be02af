#include "store/store_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstdio>

#include "base/error.h"
#include "base/syscalls.h"
#include "layerstore/ingest.h"

namespace lay::layerstore {

namespace {

Error no_regular_file(const std::string& name) {
  return Error::make(Errc::corrupt, "'{}' in the store is no regular file", name)
      .with_hint("'lay fsck' says what it belongs to, 'lay fsck --repair' mends it");
}

}  // namespace

std::optional<UniqueFd> try_open_regular(const UniqueFd& dir, const std::string& name) {
  const auto before = sys::try_stat_at(dir, name);
  if (!before) return std::nullopt;
  if (!S_ISREG(before->st_mode)) throw no_regular_file(name);  // opening a device may already act on it
  auto fd = sys::try_open_at(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (fd && !S_ISREG(sys::stat_of(*fd).st_mode)) throw no_regular_file(name);
  return fd;
}

bool try_exchange(const UniqueFd& from, const std::string& name, const UniqueFd& to,
                  const std::string& there) {
  if (::renameat2(from.get(), name.c_str(), to.get(), there.c_str(), RENAME_EXCHANGE) == 0) return true;
  if (errno != EINVAL && errno != ENOSYS) throw Error::from_errno("replace '{}'", there);
  return false;
}

namespace {

enum class Later { replaced, overwritten };

void publish(const UniqueFd& root, const UniqueFd& folder, const std::string& name, std::string_view text,
             Later later) {
  const Ingest ingest = Ingest::begin(root);
  const UniqueFd file = sys::open_at(ingest.dir(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (later == Later::overwritten) keep_blocks(file);
  with_context(fmt::format("write '{}'", name), [&] {
    sys::write_all(file, text);
    sys::fsync(file);
  });
  sys::rename_at(ingest.dir(), name, folder, name);
  sys::fsync(folder);
}

}  // namespace

void keep_blocks(const UniqueFd& file) noexcept {
  int flags = 0;
  if (::ioctl(file.get(), FS_IOC_GETFLAGS, &flags) < 0) return;
  flags |= FS_NOCOW_FL;
  ::ioctl(file.get(), FS_IOC_SETFLAGS, &flags);
}

void publish_file(const UniqueFd& root, const std::string& name, std::string_view text) {
  publish(root, root, name, text, Later::overwritten);
}

void publish_file(const UniqueFd& root, const UniqueFd& folder, const std::string& name,
                  std::string_view text) {
  publish(root, folder, name, text, Later::replaced);
}

}  // namespace lay::layerstore
