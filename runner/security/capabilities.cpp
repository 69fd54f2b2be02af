#include "security/capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cerrno>
#include <cstdint>

#include "base/error.h"
#include "base/text.h"

namespace lay::runner {

namespace {

/// In the order of their numbers, linux/capability.h.
constexpr std::array<std::string_view, 41> kNames{"CHOWN",
                                                  "DAC_OVERRIDE",
                                                  "DAC_READ_SEARCH",
                                                  "FOWNER",
                                                  "FSETID",
                                                  "KILL",
                                                  "SETGID",
                                                  "SETUID",
                                                  "SETPCAP",
                                                  "LINUX_IMMUTABLE",
                                                  "NET_BIND_SERVICE",
                                                  "NET_BROADCAST",
                                                  "NET_ADMIN",
                                                  "NET_RAW",
                                                  "IPC_LOCK",
                                                  "IPC_OWNER",
                                                  "SYS_MODULE",
                                                  "SYS_RAWIO",
                                                  "SYS_CHROOT",
                                                  "SYS_PTRACE",
                                                  "SYS_PACCT",
                                                  "SYS_ADMIN",
                                                  "SYS_BOOT",
                                                  "SYS_NICE",
                                                  "SYS_RESOURCE",
                                                  "SYS_TIME",
                                                  "SYS_TTY_CONFIG",
                                                  "MKNOD",
                                                  "LEASE",
                                                  "AUDIT_WRITE",
                                                  "AUDIT_CONTROL",
                                                  "SETFCAP",
                                                  "MAC_OVERRIDE",
                                                  "MAC_ADMIN",
                                                  "SYSLOG",
                                                  "WAKE_ALARM",
                                                  "BLOCK_SUSPEND",
                                                  "AUDIT_READ",
                                                  "PERFMON",
                                                  "BPF",
                                                  "CHECKPOINT_RESTORE"};
static_assert(kNames.size() == CAP_LAST_CAP + 1);

std::string to_upper(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return result;
}

std::uint64_t bit_of(int capability) {
  return std::uint64_t{1} << static_cast<unsigned>(capability);
}

std::string names_of(std::uint64_t mask) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if ((mask & bit_of(static_cast<int>(i))) != 0) names.push_back(capability_name(static_cast<int>(i)));
  return join(names, ", ");
}

/// Bits of the bounding set of this thread, up to the last capability that the kernel knows.
std::uint64_t current_bounding_set() {
  std::uint64_t mask = 0;
  for (int capability = 0; capability < 64; ++capability) {
    const int state = ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    if (state < 0 && errno == EINVAL) break;  // beyond the last one
    if (state < 0) throw Error::from_errno("read the bounding set");
    if (state == 1) mask |= bit_of(capability);
  }
  return mask;
}

void set_capabilities(std::uint64_t effective, std::uint64_t permitted, std::uint64_t inheritable) {
  ::__user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<::__user_cap_data_struct, 2> data{};
  for (unsigned word = 0; word < 2; ++word) {
    data[word].effective = static_cast<std::uint32_t>(effective >> (32 * word));
    data[word].permitted = static_cast<std::uint32_t>(permitted >> (32 * word));
    data[word].inheritable = static_cast<std::uint32_t>(inheritable >> (32 * word));
  }
  if (::syscall(SYS_capset, &header, data.data()) < 0)
    throw Error::from_errno("set the capabilities {}", names_of(permitted));
}

void set_ambient(std::uint64_t ambient) {
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
    throw Error::from_errno("clear the ambient capabilities");
  for (int capability = 0; capability <= CAP_LAST_CAP; ++capability) {
    if ((ambient & bit_of(capability)) == 0) continue;
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0)
      throw Error::from_errno("make {} ambient", names_of(bit_of(capability)));
  }
}

}  // namespace

std::optional<int> find_capability(std::string_view name) {
  const std::string upper = to_upper(name);
  std::string_view bare = upper;
  if (bare.starts_with("CAP_")) bare.remove_prefix(4);
  const auto* found = std::find(kNames.begin(), kNames.end(), bare);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<int>(found - kNames.begin());
}

int capability_number(std::string_view name) {
  if (const auto number = find_capability(name)) return *number;
  throw Error::make(Errc::invalid, "unknown capability '{}'", printable(name))
      .with_hint("see capabilities(7)");
}

std::string capability_name(int number) {
  return fmt::format("CAP_{}", kNames.at(static_cast<std::size_t>(number)));
}

std::uint64_t capability_mask(const std::vector<std::string>& names) {
  std::uint64_t mask = 0;
  for (const std::string& name : names) mask |= bit_of(capability_number(name));
  return mask;
}

std::set<int> available_capabilities() {
  const std::uint64_t mask = current_bounding_set();
  std::set<int> numbers;
  for (int capability = 0; capability <= CAP_LAST_CAP; ++capability)
    if ((mask & bit_of(capability)) != 0) numbers.insert(capability);
  return numbers;
}

std::set<int> known_capabilities() {
  std::set<int> numbers;
  for (int capability = 0; capability <= CAP_LAST_CAP; ++capability)
    if (::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0) numbers.insert(capability);
  return numbers;
}

Capabilities default_capabilities() {
  const std::vector<std::string> eleven{
      "CAP_CHOWN",  "CAP_DAC_OVERRIDE", "CAP_FOWNER",           "CAP_FSETID",     "CAP_KILL",   "CAP_SETGID",
      "CAP_SETUID", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_SETFCAP"};
  return {.bounding = eleven, .effective = eleven, .permitted = eleven, .inheritable = {}, .ambient = {}};
}

void limit_bounding_set(const Capabilities& capabilities) {
  const std::uint64_t wanted = capability_mask(capabilities.bounding);
  const std::uint64_t present = current_bounding_set();
  if ((wanted & ~present) != 0)
    throw Error::make(Errc::unsupported, "lay itself lacks {} on this machine", names_of(wanted & ~present))
        .with_hint("leave it out, or start lay with more rights");
  for (std::uint64_t surplus = present & ~wanted; surplus != 0; surplus &= surplus - 1) {
    const int capability = std::countr_zero(surplus);
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
      throw Error::from_errno("drop {} from the bounding set", names_of(bit_of(capability)));
  }
  if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) throw Error::from_errno("keep capabilities across setuid");
}

void apply_capabilities(const Capabilities& capabilities) {
  set_capabilities(capability_mask(capabilities.effective), capability_mask(capabilities.permitted),
                   capability_mask(capabilities.inheritable));
  set_ambient(capability_mask(capabilities.ambient));
  if (::prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0) throw Error::from_errno("stop keeping capabilities");
}

}  // namespace lay::runner
