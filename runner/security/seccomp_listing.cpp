#include <linux/capability.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <initializer_list>
#include <string_view>

#include "runner/portable.h"
#include "security/capabilities.h"
#include "tools/seccomp_names.h"

namespace lay::runner {

namespace {

constexpr auto kRefusedCalls = std::to_array<std::string_view>({
#include "seccomp_refused.inc"
});

/// Only the native one: on 32-bit x86 libseccomp lets every rule about socket(2) stand for socketcall(2) too,
/// whose family no filter can see, and so takes no two answers for it.
#if defined(__x86_64__)
constexpr const char* kArchitecture = "SCMP_ARCH_X86_64";
#elif defined(__aarch64__)
constexpr const char* kArchitecture = "SCMP_ARCH_AARCH64";
#endif

constexpr std::uint32_t kWholeInt = 0xffffffff;  // all that the kernel looks at of an int
constexpr std::uint32_t kNamespaceFlags =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

SeccompArgument masked(std::uint32_t index, std::uint32_t mask, std::uint32_t value) {
  return {.index = index, .value = mask, .value_two = value, .op = SeccompOperator::masked_eq};
}

SeccompArgument is_int(std::uint32_t index, std::uint32_t value) {
  return masked(index, kWholeInt, value);
}

/// Conditions of which exactly one holds for every int that is none of `values`. Runtimes join several
/// conditions on one argument by "or", so "neither A nor B" takes one rule for each branch of the tree of
/// bits at which the way to all of `values` is left.
std::vector<SeccompArgument> none_of(std::uint32_t index, std::initializer_list<std::uint32_t> values) {
  std::vector<SeccompArgument> conditions;
  for (const std::uint32_t value : values)
    for (std::uint32_t bit = 1; bit != 0; bit <<= 1) {
      const std::uint32_t mask = ~(bit - 1);  // this bit and all above
      const std::uint32_t branch = (value & mask) ^ bit;
      const bool is_way = std::any_of(values.begin(), values.end(),
                                      [&](std::uint32_t other) { return (other & mask) == branch; });
      const bool is_known = std::any_of(conditions.begin(), conditions.end(), [&](const auto& condition) {
        return condition.value == mask && condition.value_two == branch;
      });
      if (!is_way && !is_known) conditions.push_back(masked(index, mask, branch));
    }
  return conditions;
}

class Listing {
 public:
  explicit Listing(std::uint64_t capabilities) : capabilities_(capabilities) {
    seccomp_.default_action = SeccompAction::error;
    seccomp_.default_errno_ret = ENOSYS;
    seccomp_.architectures = {kArchitecture};
  }

  Seccomp run() {
    add_names();
    add_clone();
    for (const std::uint32_t domain : {0x0U, 0x8U, 0x20000U, 0x20008U, kWholeInt})
      allow("personality", {is_int(0, domain)});
    add_socket();
    for (const SeccompArgument& other : none_of(1, {TIOCSTI, TIOCLINUX})) allow("ioctl", {other});
    for (const std::uint32_t request : {std::uint32_t{TIOCSTI}, std::uint32_t{TIOCLINUX}})
      refuse("ioctl", EPERM, {is_int(1, request)});
    return std::move(seccomp_);
  }

 private:
  bool has(int capability) const { return ((capabilities_ >> capability) & 1) != 0; }

  bool is_granted(std::string_view name) const {
    return std::any_of(kGatedSyscalls.begin(), kGatedSyscalls.end(), [&](const auto& gated) {
      return gated.first == name && (gated.second & capabilities_) != 0;
    });
  }

  /// The calls whose arguments are not looked at.
  void add_names() {
    SeccompRule allowed;
    for (const std::string_view name : kAllowedSyscalls)
      if (!looks_at_arguments(name)) allowed.names.emplace_back(name);
    SeccompRule refused{.action = SeccompAction::error, .errno_ret = EPERM};
    for (const std::string_view name : kRefusedCalls)
      (is_granted(name) ? allowed : refused).names.emplace_back(name);
    if (is_granted("clone3")) allowed.names.emplace_back("clone3");
    seccomp_.syscalls.push_back(std::move(allowed));
    seccomp_.syscalls.push_back(std::move(refused));
  }

  static bool looks_at_arguments(std::string_view name) {
    return name == "clone" || name == "personality" || name == "socket" || name == "ioctl";
  }

  void add_clone() {
    if (has(CAP_SYS_ADMIN)) return allow("clone", {});
    allow("clone", {masked(0, kNamespaceFlags, 0)});
    for (std::uint32_t flag = 1; flag != 0; flag <<= 1)
      if ((kNamespaceFlags & flag) != 0) refuse("clone", EPERM, {masked(0, flag, flag)});
  }

  void add_socket() {
    for (const std::uint32_t family : {std::uint32_t{AF_ALG}, std::uint32_t{AF_VSOCK}})
      refuse("socket", EPERM, {is_int(0, family)});
    if (has(CAP_AUDIT_WRITE)) {
      for (const SeccompArgument& other : none_of(0, {AF_ALG, AF_VSOCK})) allow("socket", {other});
      return;
    }
    for (const SeccompArgument& other : none_of(0, {AF_ALG, AF_VSOCK, AF_NETLINK})) allow("socket", {other});
    for (const SeccompArgument& protocol : none_of(2, {NETLINK_AUDIT}))
      allow("socket", {is_int(0, AF_NETLINK), protocol});
    refuse("socket", EINVAL, {is_int(0, AF_NETLINK), is_int(2, NETLINK_AUDIT)});
  }

  void allow(const char* name, std::vector<SeccompArgument> arguments) {
    seccomp_.syscalls.push_back({.names = {name}, .args = std::move(arguments)});
  }

  void refuse(const char* name, std::uint32_t error, std::vector<SeccompArgument> arguments) {
    seccomp_.syscalls.push_back(
        {.names = {name}, .action = SeccompAction::error, .errno_ret = error, .args = std::move(arguments)});
  }

  std::uint64_t capabilities_;
  Seccomp seccomp_;
};

}  // namespace

Seccomp builtin_seccomp(const std::vector<std::string>& capabilities) {
  return Listing(capability_mask(capabilities)).run();
}

}  // namespace lay::runner
