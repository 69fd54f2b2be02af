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
    AttributeOption{"rro", MOUNT_ATTR_RDONLY, 0},
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
};

bool has_option(const Mount& mount, std::string_view name) {
  return std::find(mount.options.begin(), mount.options.end(), name) != mount.options.end();
}

void apply(MountOptions& options, const AttributeOption& attribute) {
  options.attributes.set = (options.attributes.set & ~attribute.clear) | attribute.set;
  options.attributes.clear = (options.attributes.clear & ~attribute.set) | attribute.clear;
}

bool apply_attribute(MountOptions& options, std::string_view name) {
  const auto* found = std::find_if(kAttributes.begin(), kAttributes.end(),
                                   [&](const AttributeOption& attribute) { return attribute.name == name; });
  if (found == kAttributes.end()) return false;
  apply(options, *found);
  return true;
}

bool apply_propagation(MountOptions& options, std::string_view name) {
  const auto* found = std::find_if(kPropagations.begin(), kPropagations.end(),
                                   [&](const PropagationOption& option) { return option.name == name; });
  if (found == kPropagations.end()) return false;
  options.attributes.propagation = found->propagation;
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

bool is_bind(const Mount& mount) {
  return mount.type == "bind" || has_option(mount, "bind") || has_option(mount, "rbind");
}

MountOptions parse_mount_options(const Mount& mount) {
  MountOptions options;
  options.attributes.propagation = MS_PRIVATE;
  if (is_bind(mount)) options.attributes.set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  for (const std::string& option : mount.options) {
    if (option.empty() || option == "defaults" || option == "bind") continue;
    if (option == "shared" || option == "rshared")
      throw Error::make(Errc::invalid,
                        "mount '{}': option '{}' would let mounts of the container reach the host",
                        printable(mount.destination), option)
          .with_hint("use rslave or rprivate");
    if (option == "rbind") {
      options.recursion = Recursion::yes;
      continue;
    }
    if (is_bind(mount) && (option == "idmap" || option == "ridmap")) {
      options.owners = Owners::of_container;
      continue;
    }
    if (apply_attribute(options, option) || apply_propagation(options, option)) continue;
    if (is_bind(mount))
      throw Error::make(Errc::invalid, "mount '{}': a bind mount has no option '{}'",
                        printable(mount.destination), printable(option));
    add_data(options, option);
  }
  return options;
}

std::vector<std::string> known_mount_options() {
  std::vector<std::string> names{"bind", "rbind", "defaults", "idmap", "ridmap"};
  for (const AttributeOption& option : kAttributes) names.emplace_back(option.name);
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
