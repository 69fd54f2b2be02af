#include "spill_fault.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace lay {

namespace {

/// Used again when its block went, and never freed: a signal may be looking at it.
struct Place {
  std::atomic<std::uintptr_t> begin{0};  ///< 0: free
  std::atomic<std::size_t> size{0};
  Place* next = nullptr;
};

std::atomic<Place*> g_places{nullptr};

bool is_explained(std::uintptr_t address) {
  for (const Place* place = g_places; place != nullptr; place = place->next)
    if (place->begin != 0 && address - place->begin < place->size) return true;
  return false;
}

/// Calls nothing but what a signal handler may.
void explain(int signal, siginfo_t* info, void*) {
  constexpr std::string_view kMessage =
      "lay: a temporary file, of what does not stay in memory, cannot be read back: Input/output error\n"
      "hint: the kernel's log (dmesg) tells more of the disk; nothing was published, and the next command "
      "clears away what is left\n";
  if (is_explained(reinterpret_cast<std::uintptr_t>(info->si_addr))) {
    [[maybe_unused]] const ssize_t count = ::write(STDERR_FILENO, kMessage.data(), kMessage.size());
    ::_exit(1);
  }
  ::signal(signal, SIG_DFL);  // it comes again
}

bool handle_faults() {
  struct ::sigaction action {};
  action.sa_sigaction = explain;
  action.sa_flags = SA_SIGINFO;
  if (::sigaction(SIGBUS, &action, nullptr) < 0) throw Error::from_errno("handle SIGBUS");
  return true;
}

/// A free one, taken for `begin`.
Place& take_place(std::uintptr_t begin) {
  for (Place* place = g_places; place != nullptr; place = place->next) {
    std::uintptr_t free = 0;
    if (place->begin.compare_exchange_strong(free, begin)) return *place;
  }
  auto* const place = new Place;  // NOLINT: never freed
  place->begin = begin;
  place->next = g_places;
  while (!g_places.compare_exchange_weak(place->next, place)) {
  }
  return *place;
}

}  // namespace

void explain_faults_in(const std::byte* block, std::size_t size) {
  [[maybe_unused]] static const bool kAreHandled = handle_faults();
  take_place(reinterpret_cast<std::uintptr_t>(block)).size = size;
}

void forget_faults_in(const std::byte* block) {
  for (Place* place = g_places; place != nullptr; place = place->next) {
    if (place->begin != reinterpret_cast<std::uintptr_t>(block)) continue;
    place->size = 0;
    place->begin = 0;
    return;
  }
}

}  // namespace lay
