#include "security/sysctl.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::runner {

namespace {

/// The settings that belong to an IPC namespace: ipc_namespaces(7).
constexpr std::array<std::string_view, 11> kIpcFiles{
    "kernel/msgmax", "kernel/msgmnb",      "kernel/msgmni",         "kernel/msg_next_id",
    "kernel/sem",    "kernel/sem_next_id", "kernel/shmall",         "kernel/shmmax",
    "kernel/shmmni", "kernel/shm_next_id", "kernel/shm_rmid_forced"};

/// Beneath /proc/sys. As sysctl(8) reads keys: the separator that comes first is the folders', and the other
/// one stands for it within a name ("net.ipv4.conf.eth0/1.forwarding").
std::string file_of(std::string key) {
  const std::size_t separator = key.find_first_of("./");
  if (separator == std::string::npos || key[separator] == '/') return key;
  for (char& letter : key)
    if (letter == '.' || letter == '/') letter = letter == '.' ? '/' : '.';
  return key;
}

bool is_file(const std::string& file) {
  const std::vector<std::string> parts = split(file, '/');
  return std::ranges::none_of(
             parts, [](const std::string& part) { return part.empty() || part == "." || part == ".."; }) &&
         file.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./") ==
             std::string::npos;
}

/// By its system call where it has one: the files of the uts namespace are for the host's root alone.
void write_sysctl(const std::string& file, const std::string& value) {
  if (file == "kernel/domainname") {
    if (::setdomainname(value.data(), value.size()) < 0) throw Error::from_errno("set the domain name");
    return;
  }
  sys::write_all(sys::open_at(sys::cwd(), "/proc/sys/" + file, O_WRONLY), value);
}

}  // namespace

std::optional<NamespaceType> sysctl_namespace(const std::string& key) {
  const std::string file = file_of(key);
  if (!is_file(file)) return std::nullopt;
  if (file.starts_with("net/")) return NamespaceType::network;
  if (file == "kernel/domainname") return NamespaceType::uts;
  const bool is_ipc = file.starts_with("fs/mqueue/") || std::ranges::find(kIpcFiles, file) != kIpcFiles.end();
  return is_ipc ? std::optional(NamespaceType::ipc) : std::nullopt;
}

void check_sysctls(const Spec& spec, SysctlsOf whose) {
  const auto has = whose == SysctlsOf::own ? has_own_namespace : has_namespace;
  for (const auto& [key, value] : spec.linux_.sysctl) {
    const auto type = sysctl_namespace(key);
    if (!type || !has(spec, *type))
      throw Error::make(Errc::invalid, "sysctl '{}' would change the host, not only the container", key)
          .with_hint(
              "net.* needs a network of its own; of the others kernel.shm*, msg*, sem and fs.mqueue.* work");
  }
}

void write_sysctls(const Spec& spec) {
  for (const auto& setting : spec.linux_.sysctl)  // clang 14 lets no lambda capture a structured binding
    with_context("set sysctl '" + setting.first + "'",
                 [&] { write_sysctl(file_of(setting.first), setting.second); });
}

}  // namespace lay::runner
