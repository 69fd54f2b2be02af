#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_lock.h"
#include "base/unique_fd.h"
#include "runner/spec.h"

/// Which ids of the host containers with `--userns auto` get, no two of them the same.
namespace lay::runner {

/// Ids from `first` on.
struct IdRange {
  std::uint32_t first = 0;
  std::uint32_t size = 0;

  bool operator==(const IdRange&) const = default;
};

/// What may be leased, and what in it may not.
struct IdPool {
  std::vector<IdRange> allowed;
  std::vector<IdRange> taken;
};

/// The ids for containers, from the texts of /etc/subuid and /etc/subgid (subuid(5)): what the entries of
/// "containers" have in both files, as podman takes it. Without such an entry 524288 to 1879048191, which is
/// what systemd sets aside for containers (systemd's UIDS-GIDS.md), less what the files give to users.
IdPool find_id_pool(std::string_view subuid, std::string_view subgid);

/// The first free place for `size` ids, the search beginning at one that `seed` decides; in steps of `size`
/// from the begin of each range. Empty when there is none.
std::optional<std::uint32_t> choose_ids(const IdPool& pool, std::uint32_t size, std::string_view seed);

/// Ids held for one container: a file in RUN/ids, named by range and container, under flock(2), which the
/// kernel drops when the holder is killed. Destruction gives them back.
class IdLease {
 public:
  IdLease(IdLease&&) noexcept = default;
  IdLease& operator=(IdLease&&) = delete;
  ~IdLease();

  const IdRange& range() const { return range_; }

  /// A range of its own for a container. Throws unsupported when all are taken.
  static IdLease take(const std::string& run, std::uint32_t size, const std::string& container_id);
  /// Keeps the ids of a map that was asked for from all others. Throws busy, with a hint, when another
  /// container has some of them already.
  static std::vector<IdLease> keep(const std::string& run, std::span<const IdMapping> maps,
                                   const std::string& container_id);

 private:
  IdLease(IdRange range, UniqueFd folder, std::string name, FileLock lock)
      : range_(range), folder_(std::move(folder)), name_(std::move(name)), lock_(std::move(lock)) {}
  static IdLease make(const UniqueFd& folder, IdRange range, const std::string& name);

  IdRange range_;
  UniqueFd folder_;
  std::string name_;
  FileLock lock_;
};

/// Removes the files of killed holders. Makes nothing.
void sweep_ids(const std::string& run);

}  // namespace lay::runner
