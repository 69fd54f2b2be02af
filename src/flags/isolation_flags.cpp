#include "flags/isolation_flags.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/error.h"
#include "base/json.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "flags/options.h"
#include "images/source_path.h"
#include "runner/isolation.h"
#include "runner/seccomp_profile.h"

namespace lay::cli {

namespace {

/// docker's names are those of the limits without their prefix.
constexpr std::array kLimits{"core",   "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue", "nice",
                             "nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack",    "as"};

struct Setting {
  std::string key;
  std::string value;
};

/// "KEY=VALUE".
Setting parse_setting(const std::string& flag, const std::string& text, const char* example) {
  const std::size_t end = text.find('=');
  if (end == 0 || end == std::string::npos)
    throw Error::make(Errc::invalid, "{} '{}' is not KEY=VALUE", flag, printable(text)).with_hint(example);
  return {text.substr(0, end), text.substr(end + 1)};
}

std::uint64_t parse_limit(const std::string& text, const std::string& whole) {
  if (text == "-1" || text == "unlimited") return RLIM_INFINITY;
  const auto value = parse_number(text);
  if (!value)
    throw Error::make(Errc::invalid, "--ulimit '{}': '{}' is no number", printable(whole), printable(text))
        .with_hint("--ulimit nofile=1024:4096; -1 is unlimited");
  return *value;
}

/// "nofile=1024" or "nofile=1024:4096".
runner::Rlimit parse_ulimit(const std::string& text) {
  const Setting setting = parse_setting("--ulimit", text, "--ulimit nofile=1024:4096");
  if (std::find(kLimits.begin(), kLimits.end(), setting.key) == kLimits.end())
    throw Error::make(Errc::invalid, "--ulimit '{}': there is no limit '{}'", printable(text),
                      printable(setting.key))
        .with_hint(fmt::format("known are {}", fmt::join(kLimits, ", ")));
  const std::size_t colon = setting.value.find(':');
  const std::uint64_t soft = parse_limit(setting.value.substr(0, colon), text);
  const std::uint64_t hard =
      colon == std::string::npos ? soft : parse_limit(setting.value.substr(colon + 1), text);
  if (soft > hard)
    throw Error::make(Errc::invalid, "--ulimit '{}': the soft limit is above the hard one", printable(text))
        .with_hint("--ulimit NAME=SOFT:HARD");
  std::string type = "RLIMIT_";
  for (const char letter : setting.key)
    type += static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
  return {.type = type, .hard = hard, .soft = soft};
}

void set_shm_size(runner::Spec& spec, const std::string& text) {
  const auto bytes = parse_size(text);
  if (!bytes)  // 0 is no limit, for podman as for tmpfs
    throw Error::make(Errc::invalid, "--shm-size '{}' is no size", printable(text))
        .with_hint("--shm-size 256m");
  for (runner::Mount& mount : spec.mounts) {
    if (mount.destination != "/dev/shm") continue;
    std::erase_if(mount.options, [](const std::string& option) { return option.starts_with("size="); });
    mount.options.push_back(fmt::format("size={}", *bytes));
  }
}

/// "HOST[:INSIDE][:rwm]".
void add_device(runner::Spec& spec, const std::string& text) {
  const std::vector<std::string> parts = split(text, ':');
  const bool has_inside = parts.size() > 1 && parts[1].starts_with('/');
  const std::size_t access = has_inside ? 2 : 1;
  if (parts.size() > access + 1 || !parts[0].starts_with('/'))
    throw Error::make(Errc::invalid, "--device '{}' is not HOST[:INSIDE][:rwm]", printable(text))
        .with_hint("--device /dev/fuse or --device /dev/sda:/dev/xvda:r");
  runner::add_device(spec, parts[0], has_inside ? parts[1] : parts[0],
                     parts.size() > access ? parts[access] : "rwm");
}

std::optional<std::int64_t> parse_device_number(const std::string& text, const Error& wrong) {
  if (text == "*") return std::nullopt;
  const auto number = parse_number(text);
  if (!number || *number > UINT32_MAX) throw wrong;
  return static_cast<std::int64_t>(*number);
}

/// "c 1:3 rwm", as docker has it.
runner::DeviceRule parse_device_rule(const std::string& text) {
  const Error wrong =
      Error::make(Errc::invalid, "--device-cgroup-rule '{}' is not TYPE MAJOR:MINOR ACCESS", printable(text))
          .with_hint("--device-cgroup-rule 'c 10:229 rwm'; the types are a, b and c, * is every number");
  const std::vector<std::string> parts = split(text, ' ');
  if (parts.size() != 3) throw wrong;
  const std::string& access = parts[2];
  const std::size_t colon = parts[1].find(':');
  if ((parts[0] != "a" && parts[0] != "b" && parts[0] != "c") || colon == std::string::npos ||
      access.empty() || access.size() > 3 || access.find_first_not_of("rwm") != std::string::npos)
    throw wrong;
  return {.allow = true,
          .type = parts[0],
          .major = parse_device_number(parts[1].substr(0, colon), wrong),
          .minor = parse_device_number(parts[1].substr(colon + 1), wrong),
          .access = access};
}

bool parse_switch(const std::string& value, const std::string& whole) {
  if (value.empty() || value == "true") return true;
  if (value == "false") return false;
  throw Error::make(Errc::invalid, "--security-opt '{}' is neither true nor false", printable(whole))
      .with_hint("--security-opt no-new-privileges");
}

/// The entries of a profile that are meant for this container.
runner::Seccomp read_seccomp_profile(const std::string& path, const runner::Capabilities& capabilities) {
  ::utsname machine{};
  if (::uname(&machine) < 0) throw Error::from_errno("ask for the kernel's release");
  try {
    const std::string text = sys::read_all(open_source(path, O_RDONLY | O_NONBLOCK), kMaxJsonBytes);
    return runner::parse_seccomp_profile(parse_json(text, "the file"),
                                         {.capabilities = capabilities.bounding, .kernel = machine.release});
  } catch (Error& error) {
    error.add_context("seccomp profile '" + printable(path) + "'");
    if (error.hint().empty()) error.with_hint("a profile has the form of docker's, or of linux.seccomp");
    throw;
  }
}

void set_seccomp(runner::Spec& spec, const std::string& value) {
  spec.linux_.seccomp_rules.reset();
  if (value == "builtin" || value == "default") {
    spec.linux_.seccomp = runner::SeccompProfile::builtin;
  } else if (value == "unconfined") {
    spec.linux_.seccomp = runner::SeccompProfile::unconfined;
  } else {
    spec.linux_.seccomp_rules = read_seccomp_profile(value, spec.process.capabilities);
    spec.linux_.seccomp = runner::SeccompProfile::listed;
  }
}

/// The module `name` is not at work on this machine, so only what asks for nothing can be had.
void refuse_label(const std::string& name, const std::string& value, const char* nothing) {
  if (value != nothing)
    throw Error::make(Errc::unsupported, "--security-opt {}={}: lay sets no {} labels", name,
                      printable(value), name)
        .with_hint(fmt::format("{}={} asks for none", name, nothing));
}

/// "NAME", "NAME=VALUE", or as docker once had it "NAME:VALUE".
void apply_security_option(runner::Spec& spec, const std::string& text) {
  const std::size_t end = text.find_first_of("=:");
  const std::string name = text.substr(0, end);
  const std::string value = end == std::string::npos ? "" : text.substr(end + 1);
  if (name == "no-new-privileges") {
    spec.process.no_new_privileges = parse_switch(value, text);
  } else if (name == "seccomp") {
    set_seccomp(spec, value);
  } else if (name == "mask") {
    for (const std::string& path : split(value, ':')) spec.linux_.masked_paths.push_back(path);
  } else if (name == "unmask") {
    for (const std::string& path : split(value, ':')) runner::unmask(spec, path);
  } else if (name == "apparmor") {
    refuse_label(name, value, "unconfined");
  } else if (name == "label") {
    refuse_label(name, value, "disable");
  } else {
    throw Error::make(Errc::invalid, "--security-opt '{}' is not known", printable(text))
        .with_hint(
            "known are no-new-privileges, seccomp=, mask=, unmask=, apparmor=unconfined and label=disable");
  }
}

/// "A,B" is two, as podman has it.
std::vector<std::string> each_name(const std::vector<std::string>& values) {
  std::vector<std::string> names;
  for (const std::string& value : values)
    for (std::string& name : split(value, ',')) names.push_back(std::move(name));
  return names;
}

}  // namespace

void IsolationFlags::add_to(Parser& parser) {
  parser.add_flag("--read-only", read_only, "the root file system cannot be written");
  parser.add_option("--shm-size", shm_size, "size of /dev/shm (64m); 0: no limit").type_name("SIZE");
  parser.add_list("--cap-add", cap_add, "capability beyond the defaults; ALL: every one", "NAME");
  parser.add_list("--cap-drop", cap_drop, "capability to go without; ALL: every one", "NAME");
  parser.add_flag("--init", has_init, "a first process that reaps, and hands signals on to the command");
  parser.add_flag("--privileged", privileged, "nothing but namespaces between it and the host");
  parser.add_list("--security-opt", security_options,
                  "no-new-privileges, seccomp=, mask=, unmask=", "NAME[=VALUE]");
  parser.add_list("--device", devices, "device of the host, or a folder of them", "HOST[:INSIDE][:rwm]");
  parser.add_list("--device-cgroup-rule", device_rules, "devices it may use once it makes nodes of them",
                  "TYPE MAJOR:MINOR ACCESS");
  parser.add_list("--sysctl", sysctls, "kernel setting of its namespaces", "KEY=VALUE");
  parser.add_list("--ulimit", ulimits, "resource limit", "NAME=SOFT[:HARD]");
  parser.add_list("--landlock", landlock, "all else is shut: ro=PATH,rw=PATH,bind=PORT,connect=PORT,scope=…",
                  "RULES");
  parser.add_list("--group-add", groups, "further group of the user", "GROUP");
}

void IsolationFlags::apply(runner::Spec& spec) const {
  spec.root.readonly = read_only;
  spec.process.has_init = has_init;
  if (privileged) runner::make_privileged(spec);
  if (!privileged || !cap_add.empty() || !cap_drop.empty()) {
    std::vector<std::string> add = each_name(cap_add);
    const std::vector<std::string> drop = each_name(cap_drop);
    const bool drops_all = std::any_of(
        drop.begin(), drop.end(), [](const std::string& name) { return name == "ALL" || name == "all"; });
    if (privileged && !drops_all) add.emplace_back("ALL");
    runner::grant_capabilities(spec, add, drop);
  }
  for (const std::string& option : security_options) apply_security_option(spec, option);
  if (!shm_size.empty()) set_shm_size(spec, shm_size);
  for (const std::string& device : devices) add_device(spec, device);
  for (const std::string& text : device_rules) {
    const runner::DeviceRule rule = parse_device_rule(text);
    if (!privileged) spec.linux_.resources.devices.push_back(rule);  // which may use all
  }
  for (const std::string& text : sysctls) {
    const Setting setting = parse_setting("--sysctl", text, "--sysctl net.core.somaxconn=1024");
    spec.linux_.sysctl.insert_or_assign(setting.key, setting.value);
  }
  for (const std::string& text : ulimits) {
    const runner::Rlimit limit = parse_ulimit(text);
    std::erase_if(spec.process.rlimits,
                  [&](const runner::Rlimit& other) { return other.type == limit.type; });
    spec.process.rlimits.push_back(limit);
  }
  if (!landlock.empty()) runner::restrict_by_landlock(spec, join(landlock, ","));
  for (const std::string& group : groups) spec.process.user.group_names.push_back(group);
}

}  // namespace lay::cli
