#include <fcntl.h>

#include "base/error.h"
#include "base/file_lock.h"
#include "base/syscalls.h"
#include "registry/server.h"
#include "server/content/expiry.h"

namespace lay::registry {

namespace {

using namespace server;

constexpr std::size_t kMaxAuthority = 1024;

/// Under which the store has the names of what was pushed; every server notes it when it starts.
std::optional<std::string> read_authority(const UniqueFd& folder) {
  const auto file = sys::try_open_at(folder, "name", O_RDONLY | O_NOFOLLOW);
  return file ? std::optional(sys::read_all(*file, kMaxAuthority)) : std::nullopt;
}

}  // namespace

bool expire_now(const layerstore::Store& store, const std::function<void(const Error&)>& report) {
  const UniqueFd root = sys::open_dir(sys::cwd(), store.path());
  const auto folder = sys::try_open_at(root, "registry", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!folder) return true;
  const auto alone = FileLock::try_acquire(*folder, "lock", LockMode::exclusive);
  if (!alone) return false;
  const std::optional<std::string> authority = read_authority(*folder);
  if (!authority) return true;  // without it no name would be a tag, and all would go
  Registry registry{.store = store,
                    .repositories = Repositories(*folder),
                    .names = ImageNames(store, *authority, LocalNames::served),
                    .uploads = Uploads(*folder, 0),
                    .changing = {}};
  const Retention at_once{.unused_blobs = std::chrono::seconds{0}, .untagged = std::chrono::seconds{0}};
  for (const std::string& repository : registry.repositories.list()) {
    try {
      expire_links(registry, repository, at_once, std::chrono::system_clock::now());
    } catch (const Error& error) {
      report(error);  // the others are none the worse
    }
  }
  return true;
}

}  // namespace lay::registry
