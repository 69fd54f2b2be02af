#include "security/id_ranges.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/folder_names.h"
#include "base/make_folders.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::runner {

namespace {

/// systemd's UIDS-GIDS.md: "524288…1879048191 … Container UIDs/GIDs".
constexpr IdRange kDefault{.first = 524288, .size = 1879048192U - 524288U};
constexpr std::string_view kOwner = "containers";
constexpr std::size_t kMaxFile = 4UL * 1024 * 1024;

struct Entry {
  std::string owner;
  IdRange range;
};

/// subuid(5): name:first:count. Lines that are something else are nobody's.
std::vector<Entry> parse_entries(std::string_view text) {
  std::vector<Entry> entries;
  for (const std::string& line : split(text, '\n')) {
    const std::vector<std::string> fields = split(line, ':');
    if (fields.size() != 3) continue;
    const auto first = parse_number(fields[1]);
    const auto size = parse_number(fields[2]);
    if (!first || !size || *first > UINT32_MAX || *size > UINT32_MAX - *first) continue;
    entries.push_back({fields[0], {static_cast<std::uint32_t>(*first), static_cast<std::uint32_t>(*size)}});
  }
  return entries;
}

std::vector<IdRange> ranges_of(const std::vector<Entry>& entries, bool (*wanted)(const Entry&)) {
  std::vector<IdRange> ranges;
  for (const Entry& entry : entries)
    if (wanted(entry)) ranges.push_back(entry.range);
  return ranges;
}

bool is_for_containers(const Entry& entry) {
  return entry.owner == kOwner;
}
bool is_for_others(const Entry& entry) {
  return entry.owner != kOwner;
}

std::uint64_t end_of(const IdRange& range) {
  return std::uint64_t{range.first} + range.size;
}

bool overlap(const IdRange& a, const IdRange& b) {
  return a.first < end_of(b) && b.first < end_of(a);
}

std::vector<IdRange> common(const std::vector<IdRange>& uids, const std::vector<IdRange>& gids) {
  std::vector<IdRange> result;
  for (const IdRange& uid : uids)
    for (const IdRange& gid : gids) {
      if (!overlap(uid, gid)) continue;
      const std::uint32_t first = std::max(uid.first, gid.first);
      const std::uint64_t end = std::min(end_of(uid), end_of(gid));
      result.push_back({first, static_cast<std::uint32_t>(end - first)});
    }
  return result;
}

bool is_free(const IdPool& pool, const IdRange& range) {
  return std::none_of(pool.taken.begin(), pool.taken.end(),
                      [&](const IdRange& taken) { return overlap(taken, range); });
}

std::string read_text(const char* path) {
  const auto file = sys::try_open_at(sys::cwd(), path, O_RDONLY);
  return file ? with_context(fmt::format("read {}", path), [&] { return sys::read_all(*file, kMaxFile); })
              : std::string();
}

/// RUN/ids, made as needed.
UniqueFd open_folder(const std::string& run) {
  make_folders(run);
  const UniqueFd dir = sys::open_dir(sys::cwd(), run);
  sys::try_mkdir_at(dir, "ids", 0700);
  return sys::open_dir(dir, "ids");
}

struct Held {
  IdRange range;
  std::string container_id;
};

/// "<first>-<size>-<container>.<random>".
std::optional<Held> parse_name(const std::string& name) {
  const std::vector<std::string> parts = split(name, '-');
  if (parts.size() != 3) return std::nullopt;
  const auto first = parse_number(parts[0]);
  const auto size = parse_number(parts[1]);
  if (!first || !size) return std::nullopt;
  return Held{.range = {static_cast<std::uint32_t>(*first), static_cast<std::uint32_t>(*size)},
              .container_id = parts[2].substr(0, parts[2].find('.'))};
}

/// Never a name that was there: the container's last supervisor may still hold a file of the same ids, and
/// removes it by name when it ends.
std::string new_name(const IdRange& range, const std::string& container_id) {
  return fmt::format("{}-{}-{}.{}", range.first, range.size, container_id, sys::random_hex(8));
}

/// The lock of whoever looks for ids. Unlocked by name and not only closed: a child that was forked meanwhile
/// has the descriptor too.
class FolderLock {
 public:
  explicit FolderLock(const UniqueFd& folder)
      : lock_(FileLock::acquire(folder, "lock", LockMode::exclusive)) {}
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock() { ::flock(lock_.fd().get(), LOCK_UN); }

 private:
  FileLock lock_;
};

/// What living holders have; files of those that were killed are removed. Under FolderLock.
std::vector<Held> list_held(const UniqueFd& folder) {
  std::vector<Held> result;
  for (const std::string& name : list_names(folder)) {
    const auto held = parse_name(name);
    if (!held) continue;
    if (const auto dead = FileLock::try_acquire(folder, name, LockMode::exclusive))
      sys::try_unlink_at(folder, name);
    else
      result.push_back(*held);
  }
  return result;
}

Error taken_by(const std::string& container_id, const IdRange& range) {
  constexpr std::size_t kShortId = 12;
  const std::string other = container_id.substr(0, kShortId);
  return Error::make(Errc::busy, "container {} has some of the ids {}-{}", other, range.first,
                     end_of(range) - 1)
      .with_hint(fmt::format(
          "choose others, or --userns auto; --userns container:{} shares that one's namespace", other));
}

}  // namespace

IdPool find_id_pool(std::string_view subuid, std::string_view subgid) {
  const std::vector<Entry> uids = parse_entries(subuid);
  const std::vector<Entry> gids = parse_entries(subgid);
  IdPool pool;
  pool.allowed = common(ranges_of(uids, is_for_containers), ranges_of(gids, is_for_containers));
  if (!pool.allowed.empty()) return pool;
  pool.allowed = {kDefault};
  pool.taken = ranges_of(uids, is_for_others);
  for (const IdRange& range : ranges_of(gids, is_for_others)) pool.taken.push_back(range);
  return pool;
}

std::optional<std::uint32_t> choose_ids(const IdPool& pool, std::uint32_t size, std::string_view seed) {
  std::vector<std::uint64_t> counts;
  std::uint64_t total = 0;
  for (const IdRange& range : pool.allowed) total += counts.emplace_back(range.size / size);
  if (total == 0) return std::nullopt;
  const std::uint64_t begin = std::hash<std::string_view>{}(seed) % total;
  for (std::uint64_t step = 0; step < total; ++step) {
    std::uint64_t index = (begin + step) % total;
    std::size_t place = 0;
    while (index >= counts[place]) index -= counts[place++];
    const IdRange range{static_cast<std::uint32_t>(pool.allowed[place].first + index * size), size};
    if (is_free(pool, range)) return range.first;
  }
  return std::nullopt;
}

IdLease IdLease::make(const UniqueFd& folder, IdRange range, const std::string& name) {
  return {range, sys::dup_fd(folder), name, FileLock::acquire(folder, name, LockMode::exclusive)};
}

IdLease IdLease::take(const std::string& run, std::uint32_t size, const std::string& container_id) {
  return with_context("ids for a user namespace", [&] {
    const UniqueFd folder = open_folder(run);
    IdPool pool = find_id_pool(read_text("/etc/subuid"), read_text("/etc/subgid"));
    const FolderLock lock(folder);
    for (const Held& held : list_held(folder)) pool.taken.push_back(held.range);
    const auto first = choose_ids(pool, size, container_id);
    if (!first)
      throw Error::make(Errc::unsupported, "no {} ids in a row are free", size)
          .with_hint(
              "a larger range for 'containers' in /etc/subuid and /etc/subgid, or --userns auto:size=N");
    const IdRange range{*first, size};
    return make(folder, range, new_name(range, container_id));
  });
}

std::vector<IdLease> IdLease::keep(const std::string& run, std::span<const IdMapping> maps,
                                   const std::string& container_id) {
  return with_context("ids for a user namespace", [&] {
    const UniqueFd folder = open_folder(run);
    const FolderLock lock(folder);
    const std::vector<Held> others = list_held(folder);
    std::vector<IdLease> leases;
    for (const IdMapping& map : maps) {
      const IdRange range{map.host_id, map.size};
      for (const Held& other : others)
        if (other.container_id != container_id && overlap(other.range, range))
          throw taken_by(other.container_id, range);
      const bool is_double = std::any_of(leases.begin(), leases.end(),
                                         [&](const IdLease& lease) { return lease.range() == range; });
      if (!is_double) leases.push_back(make(folder, range, new_name(range, container_id)));
    }
    return leases;
  });
}

void sweep_ids(const std::string& run) {
  const auto folder = sys::try_open_at(sys::cwd(), run + "/ids", O_RDONLY | O_DIRECTORY);
  if (!folder) return;
  const FolderLock lock(*folder);
  list_held(*folder);
}

IdLease::~IdLease() {
  if (!folder_) return;
  try {
    sys::try_unlink_at(folder_, name_);
  } catch (const Error&) {
    // The next one who looks for ids removes it: its lock goes with us.
  }
}

}  // namespace lay::runner
