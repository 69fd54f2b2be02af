#include "runner/container.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/syscalls.h"
#include "cgroup/group.h"
#include "cgroup/group_name.h"
#include "container/container_json.h"
#include "container/names.h"
#include "container/run_lock.h"
#include "process/process.h"

namespace lay::runner {

namespace {

/// What a shell would say of a process killed by SIGKILL.
constexpr int kKilled = 137;
constexpr std::array kSettings{"config.json", "container.json"};

std::optional<ContainerState> read_state(const UniqueFd& dir) {
  const auto fd = sys::try_open_at(dir, kStateFile, O_RDONLY | O_NOFOLLOW);
  if (!fd) return std::nullopt;
  return parse_container_state(parse_json(sys::read_all(*fd, kMaxJsonBytes), kStateFile));
}

/// The same text once more, so that a sync covers all of it. In place: who changes the settings meanwhile
/// gives the name to another file, which is on disk by then.
void write_anew(const UniqueFd& dir, const char* name) {
  const UniqueFd file = sys::open_at(dir, name, O_RDWR | O_NOFOLLOW);
  const std::string text = sys::read_all(file, kMaxJsonBytes);
  const auto bytes = std::as_bytes(std::span(text));
  for (std::size_t done = 0; done < bytes.size();) done += sys::pwrite_some(file, bytes.subspan(done), done);
}

/// The supervisor speaks last; a state that nobody stands behind any more is an end that nobody wrote down.
ContainerState ended_unseen(ContainerState state) {
  state.status = Status::exited;
  state.pid = 0;
  state.exit_code = kKilled;
  state.error = "its supervisor was killed, or the machine restarted";
  return state;
}

bool is_process_alive(const ContainerState& state) {
  if (state.pid == 0) return false;
  const auto process = open_process(state.pid);
  return process && start_time(state.pid) == state.pid_start_time &&
         !wait_for_end(*process, std::chrono::milliseconds(0));
}

/// Then its processes die with the first.
bool has_own_pids(const ContainerConfig& config) {
  return std::ranges::any_of(config.spec.linux_.namespaces, [&](const Namespace& entry) {
    return entry.type == NamespaceType::pid && entry.path.empty() && !config.joined.contains(entry.type);
  });
}

/// A command outlives a killed supervisor when it has taken back that it dies with it (PR_SET_PDEATHSIG,
/// which execve(2) of a set-user-ID program does, too).
ContainerState abandoned(ContainerState state, const ContainerConfig& config) {
  const bool has_first = is_process_alive(state);
  state.is_abandoned = true;
  if (!has_first &&
      (has_own_pids(config) || list_group_processes(find_groups(cgroup_name_of(config))).empty()))
    return ended_unseen(std::move(state));
  if (!has_first) state.pid = 0;
  state.error = "its supervisor was killed: 'lay stop' ends what still runs, 'lay start' starts it anew";
  return state;
}

/// The end is in the lock, where it always finds room, and not in state.json.
ContainerState ended_on_full_disk(ContainerState state, const RunEnd& end) {
  state.status = Status::exited;
  state.pid = 0;
  state.exit_code = end.exit_code;
  state.oom_killed = end.oom_killed;
  state.finished = end.finished;
  state.error = fmt::format("its end could not be written to '{}': the disk may be full", kStateFile);
  return state;
}

ContainerState unreadable(const Error& why) {
  return {.status = Status::exited, .exit_code = kKilled, .error = why.message()};
}

}  // namespace

Container::Container(ContainerConfig config, std::string path, UniqueFd dir)
    : config_(std::move(config)), path_(std::move(path)), dir_(std::move(dir)) {}

UniqueFd Container::open_upper() const {
  return sys::open_dir(dir_, "upper");
}

FileLock Container::keep_files() const {
  FileLock lock = FileLock::lock(sys::open_dir(dir_, "."), LockMode::shared);
  check_is_there();
  return lock;
}

FileLock Container::lock_upper(LockMode mode) const {
  auto upper = sys::try_open_at(dir_, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!upper) check_is_there();
  return FileLock::lock(upper ? std::move(*upper) : open_upper(), mode);
}

bool Container::is_there() const {
  const auto now = sys::try_stat_at(sys::cwd(), path_);
  return now && now->st_ino == sys::stat_of(dir_).st_ino;
}

void Container::check_is_there() const {
  if (!is_there()) throw no_container(config_.name);
}

ContainerState Container::state() const {
  std::optional<ContainerState> state;
  try {
    state = read_state(dir_);
  } catch (const Error& error) {
    return unreadable(error);
  }
  if (!state) return {};
  if (state->status != Status::running) return *state;
  if (state->boot_id != sys::boot_id()) return ended_unseen(*state);
  if (is_run_locked(dir_)) return *state;
  // The supervisor may have written the end between our two looks.
  state = read_state(dir_);
  if (!state || state->status != Status::running) return state.value_or(ContainerState{});
  const std::optional<RunEnd> end = read_end(dir_);
  return end ? ended_on_full_disk(std::move(*state), *end) : abandoned(std::move(*state), config_);
}

ContainerState Container::state_at_rest(const FileLock&) const {
  try {
    const std::optional<ContainerState> state = read_state(dir_);
    if (!state) return {};
    if (state->status != Status::running) return *state;
    const std::optional<RunEnd> end = state->boot_id == sys::boot_id() ? read_end(dir_) : std::nullopt;
    return end ? ended_on_full_disk(*state, *end) : ended_unseen(*state);
  } catch (const Error& error) {
    return unreadable(error);
  }
}

void Container::make_durable() const {
  if (on_disk_ == OnDisk::yes) return;
  // fsync(2) tells once of what could not be written, and succeeds from then on without it
  if (std::exchange(on_disk_, OnDisk::unknown) == OnDisk::unknown)
    for (const char* name : kSettings) write_anew(dir_, name);
  std::array<UniqueFd, kSettings.size()> files;
  std::ranges::transform(kSettings, files.begin(),
                         [&](const char* name) { return sys::open_at(dir_, name, O_RDONLY | O_NOFOLLOW); });
  // Both are on their way before one is waited for, so that a journal is written once. What fails is told by
  // fsync(2)
  for (const UniqueFd& file : files) ::sync_file_range(file.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
  for (const UniqueFd& file : files) sys::fsync(file);
  sys::fsync(dir_);
  const UniqueFd containers = sys::open_dir(sys::cwd(), std::filesystem::path(path_).parent_path());
  sys::fsync(sys::open_dir(containers, kNames));
  sys::fsync(containers);
  on_disk_ = OnDisk::yes;
}

void Container::save_state(const ContainerState& state) const {
  const std::unique_ptr<AtomicFile> file = prepare_state(state);
  with_context(fmt::format("write '{}'", kStateFile), [&] {
    // "running" is worthless after a restart of the machine.
    if (is_ephemeral() || state.status == Status::running) return file->publish();
    if (!sys::try_stat_at(dir_, kStateFile)) make_durable();  // else a start has, maybe in another process
    file->commit();
  });
}

std::unique_ptr<AtomicFile> Container::prepare_state(const ContainerState& state) const {
  return with_context(fmt::format("write '{}'", kStateFile), [&] {
    auto file = std::make_unique<AtomicFile>(dir_, kStateFile);
    file->write(dump_json(to_json(state)));
    return file;
  });
}

void Container::save_limits(const Resources& resources, const std::optional<IntelRdt>& rdt) {
  Spec spec = config_.spec;
  spec.linux_.resources = resources;
  spec.linux_.intel_rdt = rdt;
  AtomicFile file(dir_, "config.json");
  file.write(dump_json(to_json(spec)));
  is_ephemeral() ? file.publish() : file.commit();
  config_.spec = std::move(spec);
}

void Container::save_network(const NetworkConfig& network) {
  ContainerConfig changed = config_;
  changed.network = network;
  AtomicFile file(dir_, "container.json");
  file.write(dump_json(to_json(changed)));
  is_ephemeral() ? file.publish() : file.commit();
  config_.network = network;
}

std::optional<FileLock> Container::try_lock() const {
  if (first_lock_) return std::exchange(first_lock_, std::nullopt);
  check_is_there();  // first, so that nothing is made in a folder that is being removed
  auto lock = take_run_lock(dir_);
  if (lock) check_is_there();
  return lock;
}

}  // namespace lay::runner
