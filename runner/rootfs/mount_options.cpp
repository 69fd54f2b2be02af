#include "rootfs/mount_options.h"

#include <fmt/format.h>
#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"
#include "base/text.h"

namespace lay::runner {

namespace {

struct AttributeOption {
  std::string_view name;
  std::uint64_t set;
  std::uint64_t clear;
};

/// The three ways to keep access times are one field, which must be cleared as a whole before it is set anew.
constexpr std::array kAttributes{
    AttributeOption{"ro", MOUNT_ATTR_RDONLY, 0},
    AttributeOption{"rw", 0, MOUNT_ATTR_RDONLY},
    AttributeOption{"nosuid", MOUNT_ATTR_NOSUID, 0},
    AttributeOption{"suid", 0, MOUNT_ATTR_NOSUID},
    AttributeOption{"nodev", MOUNT_ATTR_NODEV, 0},
    AttributeOption{"dev", 0, MOUNT_ATTR_NODEV},
    AttributeOption{"noexec", MOUNT_ATTR_NOEXEC, 0},
    AttributeOption{"exec", 0, MOUNT_ATTR_NOEXEC},
    AttributeOption{"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    AttributeOption{"diratime", 0, MOUNT_ATTR_NODIRATIME},
    AttributeOption{"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0},
    AttributeOption{"symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW},
    AttributeOption{"relatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    AttributeOption{"atime", 0, MOUNT_ATTR__ATIME},
    AttributeOption{"norelatime", 0, MOUNT_ATTR__ATIME},
    AttributeOption{"nostrictatime", 0, MOUNT_ATTR__ATIME},
    AttributeOption{"noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME},
    AttributeOption{"strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
};

struct PropagationOption {
  std::string_view name;
  std::uint64_t propagation;
};

constexpr std::array kPropagations{
    PropagationOption{"private", MS_PRIVATE},       PropagationOption{"rprivate", MS_PRIVATE},
    PropagationOption{"slave", MS_SLAVE},           PropagationOption{"rslave", MS_SLAVE},
    PropagationOption{"unbindable", MS_UNBINDABLE}, PropagationOption{"runbindable", MS_UNBINDABLE},
    PropagationOption{"shared", MS_SHARED},         PropagationOption{"rshared", MS_SHARED},
};

bool has_option(const Mount& mount, std::string_view name) {
  return std::find(mount.options.begin(), mount.options.end(), name) != mount.options.end();
}

/// Options of a file system as a whole that are its default here, or that no kernel heeds: what mount(2) has
/// for them is the kernel's own (iversion, acl) or only quiets its log.
constexpr std::array<std::string_view, 10> kWithoutEffect{
    "defaults", "async", "nomand", "nolazytime", "iversion", "noiversion", "silent", "loud", "acl", "noacl"};
/// Those that fsconfig(2) takes for any file system; a bind mount has them already, or not.
constexpr std::array<std::string_view, 4> kOfFileSystem{"sync", "dirsync", "mand", "lazytime"};

template <class List>
bool contains(const List& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

void apply(MountAttributes& attributes, const AttributeOption& option) {
  attributes.set = (attributes.set & ~option.clear) | option.set;
  attributes.clear = (attributes.clear & ~option.set) | option.clear;
}

const AttributeOption* find_attribute(std::string_view name) {
  const auto* found = std::find_if(kAttributes.begin(), kAttributes.end(),
                                   [&](const AttributeOption& attribute) { return attribute.name == name; });
  return found == kAttributes.end() ? nullptr : found;
}

/// "nosuid", or "rnosuid" for all below as well.
bool apply_attribute(MountOptions& options, std::string_view name, MountRules rules) {
  if (const AttributeOption* found = find_attribute(name)) {
    apply(options.attributes, *found);
    return true;
  }
  const AttributeOption* found = name.starts_with('r') ? find_attribute(name.substr(1)) : nullptr;
  if (found == nullptr) return false;
  apply(rules == MountRules::lay ? options.attributes : options.recursive, *found);
  return true;
}

bool apply_propagation(MountOptions& options, std::string_view name, MountRules rules) {
  const auto* found = std::find_if(kPropagations.begin(), kPropagations.end(),
                                   [&](const PropagationOption& option) { return option.name == name; });
  if (found == kPropagations.end()) return false;
  if (rules == MountRules::lay || !name.starts_with('r'))
    options.attributes.propagation = found->propagation;
  else
    options.recursive.propagation = found->propagation;
  return true;
}

void add_data(MountOptions& options, const std::string& option) {
  const std::size_t equals = option.find('=');
  if (equals == std::string::npos)
    options.data.emplace_back(option, std::nullopt);
  else
    options.data.emplace_back(option.substr(0, equals), option.substr(equals + 1));
}

}  // namespace

bool is_propagation(std::string_view option) {
  return std::any_of(kPropagations.begin(), kPropagations.end(),
                     [&](const PropagationOption& known) { return known.name == option; });
}

bool is_bind(const Mount& mount) {
  return mount.type == "bind" || has_option(mount, "bind") || has_option(mount, "rbind");
}

namespace {

void refuse_shared(const Mount& mount, const std::string& option) {
  if (option != "shared" && option != "rshared") return;
  throw Error::make(Errc::invalid, "mount '{}': option '{}' would let mounts of the container reach the host",
                    printable(mount.destination), option)
      .with_hint("use rslave or rprivate");
}

/// How a mount is made, and not what it is like.
bool apply_making(MountOptions& options, const std::string& option, const Mount& mount, MountRules rules) {
  if (option.empty() || option == "defaults" || option == "bind") return true;
  if (option == "rbind") {
    options.recursion = Recursion::yes;
    return true;
  }
  if (is_bind(mount) && (option == "idmap" || option == "ridmap")) {
    options.owners = Owners::of_container;
    if (option == "ridmap") options.owners_recursion = Recursion::yes;
    return true;
  }
  if (option == "tmpcopyup" && mount.type == "tmpfs") return options.copies_up = true;
  if (rules == MountRules::runtime_spec && option == "remount") return options.is_remount = true;
  return false;
}

void take_mappings(MountOptions& options, const Mount& mount) {
  if (mount.uid_mappings.empty() && mount.gid_mappings.empty()) return;
  if (!is_bind(mount) || mount.uid_mappings.empty() || mount.gid_mappings.empty())
    throw Error::make(Errc::invalid,
                      "mount '{}': uidMappings and gidMappings come together, and are a bind mount's",
                      printable(mount.destination));
  options.owners = Owners::of_mount;
}

void apply_rest(MountOptions& options, const std::string& option, const Mount& mount, MountRules rules) {
  if (rules == MountRules::runtime_spec && contains(kWithoutEffect, option)) return;
  if (!is_bind(mount)) return add_data(options, option);
  // mount(2) passes over what a bind mount cannot have, and so do the peers.
  if (rules == MountRules::runtime_spec) return;
  throw Error::make(Errc::invalid, "mount '{}': a bind mount has no option '{}'",
                    printable(mount.destination), printable(option));
}

}  // namespace

namespace {

/// Where only the mount itself is given one: what lies below must not reach the host, unless that is asked
/// for, when all stays in the host's peer groups.
std::uint64_t propagation_below(std::uint64_t own) {
  if (own == MS_SHARED) return 0;
  return own == MS_SLAVE ? MS_SLAVE : MS_PRIVATE;
}

}  // namespace

MountOptions parse_mount_options(const Mount& mount, MountRules rules) {
  MountOptions options;
  if (rules == MountRules::lay) {
    options.attributes.propagation = MS_PRIVATE;
    if (is_bind(mount)) options.attributes.set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  }
  for (const std::string& option : mount.options) {
    if (rules == MountRules::lay) refuse_shared(mount, option);
    if (apply_making(options, option, mount, rules) || apply_attribute(options, option, rules) ||
        apply_propagation(options, option, rules))
      continue;
    apply_rest(options, option, mount, rules);
  }
  if (rules == MountRules::runtime_spec && options.recursive.propagation == 0)
    options.recursive.propagation = propagation_below(options.attributes.propagation);
  take_mappings(options, mount);
  if (rules == MountRules::lay) options.owners_recursion = options.recursion;
  return options;
}

std::vector<std::string> known_mount_options() {
  std::vector<std::string> names{"bind", "rbind", "idmap", "ridmap"};
  for (const char* name : {"remount", "tmpcopyup"}) names.emplace_back(name);
  for (const std::string_view name : kWithoutEffect) names.emplace_back(name);
  for (const std::string_view name : kOfFileSystem) names.emplace_back(name);
  for (const AttributeOption& option : kAttributes) {
    names.emplace_back(option.name);
    names.emplace_back("r").append(option.name);
  }
  for (const PropagationOption& option : kPropagations) names.emplace_back(option.name);
  std::ranges::sort(names);
  return names;
}

std::string normalize_path(const std::string& path) {
  std::vector<std::string> kept;
  for (std::string& part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..")
      kept.push_back(std::move(part));
    else if (!kept.empty())
      kept.pop_back();
  }
  return fmt::format("/{}", join(kept, "/"));
}

bool lies_beneath(const std::string& path, const std::string& folder) {
  if (folder == "/") return path != "/";
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

}  // namespace lay::runner
