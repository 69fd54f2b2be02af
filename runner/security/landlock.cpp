#include "security/landlock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::runner {

namespace {

// linux/landlock.h; Debian 12's headers end with revision 2.
constexpr std::uint64_t kExecute = 1U << 0;
constexpr std::uint64_t kWriteFile = 1U << 1;
constexpr std::uint64_t kReadFile = 1U << 2;
constexpr std::uint64_t kReadDir = 1U << 3;
constexpr std::uint64_t kTruncate = 1U << 14;
constexpr std::uint64_t kIoctlDev = 1U << 15;
constexpr std::uint64_t kAllOfRevision3 = (1U << 15) - 1;
constexpr std::uint64_t kBindTcp = 1U << 0;
constexpr std::uint64_t kConnectTcp = 1U << 1;
constexpr std::uint64_t kScopeAbstract = 1U << 0;
constexpr std::uint64_t kScopeSignal = 1U << 1;
constexpr unsigned kGetVersion = 1;
constexpr int kRulePath = 1;
constexpr int kRulePort = 2;

// The revisions that have what is asked for: before the third one files can be truncated whatever the rules
// say.
constexpr int kAbiOfPaths = 3;
constexpr int kAbiOfPorts = 4;
constexpr int kAbiOfDeviceCommands = 5;
constexpr int kAbiOfScopes = 6;

struct RulesetAttributes {
  std::uint64_t handled_access_fs = 0;
  std::uint64_t handled_access_net = 0;
  std::uint64_t scoped = 0;
};

struct [[gnu::packed]] PathAttributes {
  std::uint64_t allowed_access = 0;
  std::int32_t parent_fd = -1;
};

struct PortAttributes {
  std::uint64_t allowed_access = 0;
  std::uint64_t port = 0;
};

constexpr const char* kExample = "--landlock ro=/usr,/lib,rw=/tmp,bind=80,connect=443,scope=abstract,signal";

Error invalid(std::string message) {
  return Error(Errc::invalid, std::move(message)).with_hint(kExample);
}

void add_path(LandlockRules& rules, std::string_view path, LandlockRules::Access access) {
  if (!path.starts_with('/'))
    throw invalid(fmt::format("landlock: '{}' is not an absolute path", printable(path)));
  if (!rules.paths) rules.paths.emplace();
  rules.paths->push_back({.path = std::string(path), .access = access});
}

void add_port(std::optional<std::vector<std::uint16_t>>& ports, std::string_view text) {
  if (!ports) ports.emplace();
  if (text == "none") return;
  const auto port = parse_number(text);
  if (!port || *port == 0 || *port > UINT16_MAX)
    throw invalid(fmt::format("landlock: '{}' is no port, nor 'none'", printable(text)));
  ports->push_back(static_cast<std::uint16_t>(*port));
}

void add_rule(LandlockRules& rules, std::string_view key, std::string_view value) {
  if (key == "ro") return add_path(rules, value, LandlockRules::Access::read);
  if (key == "rw") return add_path(rules, value, LandlockRules::Access::write);
  if (key == "bind") return add_port(rules.bind, value);
  if (key == "connect") return add_port(rules.connect, value);
  if (key != "scope")
    throw invalid(fmt::format("landlock: '{}' is none of ro, rw, bind, connect, scope", printable(key)));
  if (value == "abstract")
    rules.scopes_abstract = true;
  else if (value == "signal")
    rules.scopes_signals = true;
  else
    throw invalid(fmt::format("landlock: scope '{}' is neither abstract nor signal", printable(value)));
}

std::uint64_t everything(int abi) {
  return kAllOfRevision3 | (abi >= kAbiOfDeviceCommands ? kIoctlDev : 0);
}

void allow_path(const UniqueFd& ruleset, const LandlockRules::Path& rule, int abi) {
  const UniqueFd root = sys::open_at(sys::cwd(), "/", O_PATH | O_DIRECTORY);
  const auto target = sys::try_open_in_root(root, rule.path, O_PATH);
  if (!target)
    throw Error::make(Errc::not_found, "landlock: '{}' is not in the container", printable(rule.path))
        .with_hint("leave it out, or make it in the image");
  std::uint64_t access =
      rule.access == LandlockRules::Access::write ? everything(abi) : kExecute | kReadFile | kReadDir;
  if (!S_ISDIR(sys::stat_of(*target).st_mode))
    access &= kExecute | kReadFile | kWriteFile | kTruncate | kIoctlDev;
  const PathAttributes attributes{.allowed_access = access, .parent_fd = target->get()};
  if (::syscall(SYS_landlock_add_rule, ruleset.get(), kRulePath, &attributes, 0) < 0)
    throw Error::from_errno("landlock: allow '{}'", printable(rule.path));
}

void allow_ports(const UniqueFd& ruleset, const std::optional<std::vector<std::uint16_t>>& ports,
                 std::uint64_t access) {
  if (!ports) return;
  for (const std::uint16_t port : *ports) {
    const PortAttributes attributes{.allowed_access = access, .port = port};
    if (::syscall(SYS_landlock_add_rule, ruleset.get(), kRulePort, &attributes, 0) < 0)
      throw Error::from_errno("landlock: allow port {}", port);
  }
}

}  // namespace

int landlock_abi() {
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kGetVersion);
  return abi < 0 ? 0 : static_cast<int>(abi);
}

LandlockRules parse_landlock(std::string_view text) {
  LandlockRules rules;
  std::string key;
  for (const std::string& word : split(text, ',')) {
    const std::size_t end = word.find('=');
    if (end != std::string::npos) key = word.substr(0, end);
    add_rule(rules, key, end == std::string::npos ? word : word.substr(end + 1));
  }
  return rules;
}

void require_landlock(const LandlockRules& rules, int abi) {
  const auto require = [&](bool asked, int least, const char* what) {
    if (asked && abi < least)
      throw Error::make(Errc::unsupported, "landlock: {} take revision {}, this kernel has {}", what, least,
                        abi == 0 ? std::string("none") : std::to_string(abi))
          .with_hint(abi == 0 ? "a kernel built with landlock, and 'landlock' among its lsm= at boot"
                              : "leave that rule out, or use a newer kernel");
  };
  require(rules.paths.has_value(), kAbiOfPaths, "rules of paths");
  require(rules.bind || rules.connect, kAbiOfPorts, "rules of ports");
  require(rules.scopes_abstract || rules.scopes_signals, kAbiOfScopes, "scopes");
}

UniqueFd make_landlock_ruleset(const LandlockRules& rules) {
  const int abi = landlock_abi();
  require_landlock(rules, abi);
  const RulesetAttributes attributes{
      .handled_access_fs = rules.paths ? everything(abi) : 0,
      .handled_access_net = (rules.bind ? kBindTcp : 0) | (rules.connect ? kConnectTcp : 0),
      .scoped = (rules.scopes_abstract ? kScopeAbstract : 0) | (rules.scopes_signals ? kScopeSignal : 0)};
  // What is behind the end of the struct that this kernel knows, is zero: it takes that.
  UniqueFd ruleset(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0)));
  if (!ruleset) throw Error::from_errno("landlock: make a ruleset");
  if (rules.paths)
    for (const LandlockRules::Path& rule : *rules.paths) allow_path(ruleset, rule, abi);
  allow_ports(ruleset, rules.bind, kBindTcp);
  allow_ports(ruleset, rules.connect, kConnectTcp);
  return ruleset;
}

void enter_landlock(const UniqueFd& ruleset) {
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) < 0)
    throw Error::from_errno("landlock: enter the ruleset");
}

}  // namespace lay::runner
