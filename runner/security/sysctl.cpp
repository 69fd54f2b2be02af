#include "security/sysctl.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"
#include "base/syscalls.h"

namespace lay::runner {

namespace {

/// The settings that belong to an IPC namespace: ipc_namespaces(7).
constexpr std::array<std::string_view, 8> kIpcKeys{"kernel.msgmax", "kernel.msgmnb",         "kernel.msgmni",
                                                   "kernel.sem",    "kernel.shmall",         "kernel.shmmax",
                                                   "kernel.shmmni", "kernel.shm_rmid_forced"};

bool is_key(std::string_view key) {
  return key.find("..") == std::string_view::npos &&
         key.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") ==
             std::string_view::npos;
}

bool is_confined(const Spec& spec, std::string_view key) {
  if (key.starts_with("net.")) return has_own_namespace(spec, NamespaceType::network);
  const bool is_ipc =
      key.starts_with("fs.mqueue.") || std::find(kIpcKeys.begin(), kIpcKeys.end(), key) != kIpcKeys.end();
  return is_ipc && has_own_namespace(spec, NamespaceType::ipc);
}

}  // namespace

void check_sysctls(const Spec& spec) {
  for (const auto& [key, value] : spec.linux_.sysctl)
    if (!is_key(key) || !is_confined(spec, key))
      throw Error::make(Errc::invalid, "sysctl '{}' would change the host, not only the container", key)
          .with_hint(
              "net.* needs a network of its own; of the others kernel.shm*, msg*, sem and fs.mqueue.* work");
}

void write_sysctls(const Spec& spec) {
  for (const auto& [key, value] : spec.linux_.sysctl) {
    std::string path = "/proc/sys/" + key;
    std::replace(path.begin(), path.end(), '.', '/');
    with_context("set sysctl '" + key + "'",
                 [&] { sys::write_all(sys::open_at(sys::cwd(), path, O_WRONLY), value); });
  }
}

}  // namespace lay::runner
