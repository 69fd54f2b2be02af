#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runner/cgroup_path.h"
#include "runner/container.h"

namespace lay::runner {

constexpr const char* kOwnParent = "lay";

/// Where a container's group lies in each hierarchy: PARENT/ID beneath its root.
struct CgroupName {
  std::string id;
  std::string parent = kOwnParent;

  CgroupName(std::string group_id) : id(std::move(group_id)) {}  // beneath lay's own: where most are
  CgroupName(std::string group_id, std::string parent_path)
      : id(std::move(group_id)), parent(std::move(parent_path)) {}

  bool operator==(const CgroupName&) const = default;
};

/// By "linux.cgroupsPath" of the spec, or else beneath lay's own parent. Throws as parse_cgroup_path().
CgroupName cgroup_name_of(const ContainerConfig& config);

}  // namespace lay::runner
