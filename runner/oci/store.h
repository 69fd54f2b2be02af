#pragma once

#include <string>

#include "cgroup/group.h"
#include "oci/hooks.h"
#include "runner/oci.h"

namespace lay::runner {

/// Beneath the store's root, compiled seccomp profiles (seccomp_cache.h). No container has such an id.
constexpr const char* kOciSeccomp = "/@seccomp";

constexpr const char* kOciSocket = "start";
constexpr const char* kOciWaiting = "waiting";

/// The folder of a container that is being made, its lock held. Taken away again unless keep() is called.
class OciFolder {
 public:
  /// Throws invalid for what is no id, exists.
  OciFolder(const OciStore& store, const std::string& id);
  OciFolder(const OciFolder&) = delete;
  OciFolder& operator=(const OciFolder&) = delete;
  ~OciFolder();

  const UniqueFd& dir() const { return dir_; }
  void keep() { is_kept_ = true; }
  /// In a child: the lock is its parent's.
  void leave_lock() { lock_.reset(); }

 private:
  UniqueFd root_;
  std::string id_;
  UniqueFd dir_;
  std::optional<FileLock> lock_;
  bool is_kept_ = false;
};

/// Its groups, in whatever hierarchies it has one.
std::vector<CgroupGroup> groups_of(const OciContainer& container);
CgroupName cgroup_of(const OciRecord& record);
/// The text of its configuration.
std::string config_of(const OciContainer& container);
/// When the container is gone. What fails is passed over, as the runtime-spec has it.
void run_poststop_hooks(const Hooks& hooks, const OciRecord& record, const OciWarn& warn);
void save_record(const UniqueFd& dir, const OciRecord& record);
/// A container that nobody else changes.
struct LockedOci {
  FileLock lock;
  OciContainer container;  ///< read when the lock was had
};
/// Throws as OciStore::find(), also for a container that goes while it is waited for.
LockedOci lock_oci(const OciStore& store, const std::string& id);
/// Takes the folder away.
void remove_oci_folder(const OciStore& store, const std::string& id);

}  // namespace lay::runner
