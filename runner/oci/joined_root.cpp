#include "oci/joined_root.h"

#include <fcntl.h>
#include <sched.h>

#include "base/error.h"
#include "base/mount.h"
#include "base/syscalls.h"
#include "process/handshake.h"
#include "process/namespaces.h"
#include "process/process.h"
#include "process/process_steps.h"
#include "spec/names.h"

namespace lay::runner {

namespace {

/// Empty when the file that led to it is gone, or leads elsewhere.
std::optional<UniqueFd> try_open_namespace(const std::string& path) {
  try {
    return open_namespace(path, NamespaceType::mount);
  } catch (const Error&) {
    return std::nullopt;
  }
}

void unmount_here(const OciRecord& record) {
  const auto root = sys::try_open_at(sys::cwd(), record.rootfs, O_PATH | O_DIRECTORY);
  if (root && is_mount_root(*root) && unique_mount_id(*root) == record.root_mount) detach_mount(*root);
}

}  // namespace

void note_joined_root(OciRecord& record, const Spec& spec, const UniqueFd& root) {
  for (const Namespace& entry : spec.linux_.namespaces)
    if (entry.type == NamespaceType::mount) record.mount_namespace = entry.path;
  record.root_mount = unique_mount_id(root);
}

void unmount_joined_root(const OciRecord& record) {
  if (record.mount_namespace.empty() || record.boot_id != sys::boot_id()) return;
  const auto namespace_ = try_open_namespace(record.mount_namespace);
  if (!namespace_) return;
  const Handshake handshake = make_handshake();
  auto visitor = ChildProcess::clone(0, nullptr);
  if (!visitor)
    run_child(handshake.child, [&] {
      shut_others_out();
      set_namespaces(*namespace_, CLONE_NEWNS);
      unmount_here(record);
      handshake.child.report_stage();
      ::_exit(0);
    });
  handshake.parent.wait_for_stage();
  visitor->wait();
}

UniqueFd open_root_of(pid_t pid) {
  return sys::open_at(sys::cwd(), fmt::format("/proc/{}/root", pid), O_PATH | O_DIRECTORY);
}

}  // namespace lay::runner
