#include "process/onlookers.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "process/first_process.h"
#include "process/namespaces.h"
#include "process/process.h"

namespace lay::runner {

namespace {

/// What keeps a command longer from being executed is a process of the container.
constexpr std::chrono::seconds kLongestWait{5};
constexpr std::chrono::milliseconds kPause{2};

enum class Arrival {
  coming,   ///< commands may be on their way that do not know of it
  settled,  ///< all do
};

bool has(const std::vector<std::string>& capabilities, std::string_view name) {
  return std::ranges::find(capabilities, name) != capabilities.end();
}

/// Whether what is executed with them may come to have it: capabilities(7), "Transformation".
bool may_get(const Capabilities& rights, std::string_view name) {
  return has(rights.bounding, name) || has(rights.inheritable, name) || has(rights.permitted, name);
}

const char* name_of(Onlookers onlookers) {
  return onlookers == Onlookers::tracers ? "tracers" : "masters";
}

/// By name and start, so that no other process is meant when its number is used again.
std::string text_of(const OnlookerNotes& notes, Arrival arrival) {
  return fmt::format("{} {} {}", notes.first, start_time(notes.first).value_or(0),
                     arrival == Arrival::coming ? "coming" : "settled");
}

/// Empty when there is none of this run.
std::optional<Arrival> read_note(const OnlookerNotes& notes, Onlookers onlookers) {
  const auto text = sys::try_readlink_at(notes.folder, name_of(onlookers));
  if (!text) return std::nullopt;
  for (const Arrival arrival : {Arrival::coming, Arrival::settled})
    if (*text == text_of(notes, arrival)) return arrival;
  return std::nullopt;
}

/// A link takes no room, which a disk that the container has filled would not have.
void write_note(const OnlookerNotes& notes, Onlookers onlookers, Arrival arrival) {
  const std::string made = fmt::format(".{}-{}", name_of(onlookers), sys::random_hex(8));
  sys::symlink_at(text_of(notes, arrival), notes.folder, made);
  sys::rename_at(notes.folder, made, notes.folder, name_of(onlookers));
}

UniqueFd open_lock(const OnlookerNotes& notes) {
  return sys::open_dir(notes.folder, notes.lock);
}

/// New commands read the note, and hold no lock then.
void wait_for_commands(const OnlookerNotes& notes) {
  const auto deadline = std::chrono::steady_clock::now() + kLongestWait;
  while (!FileLock::try_lock(open_lock(notes), LockMode::exclusive)) {
    if (std::chrono::steady_clock::now() > deadline)
      throw Error(Errc::busy,
                  "a command that is being executed in the container does not get to its end, and whoever "
                  "comes with CAP_SYS_PTRACE could look into it")
          .with_hint("end that 'lay exec', or whatever in the container has stopped it, and try again");
    std::this_thread::sleep_for(kPause);
    throw_if_cancelled();
  }
}

bool has_own_pids(const ContainerConfig& config) {
  return has_own_namespace(config.spec, NamespaceType::pid) && !config.joined.contains(NamespaceType::pid);
}

}  // namespace

Onlookers onlookers_with(const Capabilities& rights, bool user_namespace) {
  if (user_namespace || !may_get(rights, "CAP_SYS_PTRACE")) return Onlookers::blind;
  return has(rights.bounding, "CAP_SYS_ADMIN") ? Onlookers::masters : Onlookers::tracers;
}

Onlookers onlookers_of(const Capabilities& container, bool user_namespace, bool has_others) {
  const Onlookers own = onlookers_with(container, user_namespace);
  return own == Onlookers::blind && has_others ? Onlookers::tracers : own;
}

OnlookerNotes notes_of(const Container& container, pid_t first) {
  return {.folder = container.dir(), .lock = "work", .first = first};
}

KnownOnlookers know_onlookers(const OnlookerNotes& notes, Onlookers own) {
  if (own == Onlookers::tracers) return {.are = own, .alone = {}};
  KnownOnlookers known{.are = own, .alone = FileLock::lock(open_lock(notes), LockMode::shared)};
  for (const Onlookers others : {Onlookers::masters, Onlookers::tracers})
    if (read_note(notes, others)) known.are = std::max(known.are, others);
  if (known.are == Onlookers::tracers) known.alone.reset();
  return known;
}

void let_in(const OnlookerNotes& notes, Onlookers newcomer) {
  if (newcomer == Onlookers::blind || read_note(notes, newcomer) == Arrival::settled) return;
  write_note(notes, newcomer, Arrival::coming);
  wait_for_commands(notes);
  write_note(notes, newcomer, Arrival::settled);
}

bool is_in_pids(pid_t pid, const UniqueFd& pid_namespace) {
  const auto file = sys::try_open_at(sys::cwd(), namespace_path(pid, NamespaceType::pid), O_RDONLY);
  if (!file) return false;
  const struct ::stat wanted = sys::stat_of(pid_namespace);
  const struct ::stat info = sys::stat_of(*file);
  return info.st_dev == wanted.st_dev && info.st_ino == wanted.st_ino;
}

std::optional<PidOwner> owner_of_pids(const ContainerStore& store, const UniqueFd& pid_namespace) {
  for (Container& container : store.list()) {
    if (!has_own_pids(container.config())) continue;
    const auto first = try_open_first_process(container);
    if (first && is_in_pids(first->pid, pid_namespace))
      return PidOwner{.container = std::move(container), .first = first->pid};
  }
  return std::nullopt;
}

}  // namespace lay::runner
