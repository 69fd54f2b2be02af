#include "delegate/creator.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/syscalls.h"
#include "process/process_steps.h"
#include "runner/portable.h"

namespace lay::runner {

namespace {

/// The files of the container's folder, as mounts like any other.
void add_files(Spec& spec, const std::vector<BoundFile>& files) {
  for (const BoundFile& file : files)
    spec.mounts.push_back({.destination = file.destination,
                           .type = "bind",
                           .source = file.source,
                           .options = {"bind", "rprivate", "nosuid", "nodev"}});
}

void write_config(const CreatorPlan& plan, const std::string& root) {
  Spec spec = make_portable(plan.spec, sys::open_at(sys::cwd(), root, O_PATH | O_DIRECTORY));
  add_files(spec, plan.rootfs.files);
  spec.root.path = root;
  sys::write_all(sys::open_at(sys::cwd(), plan.config, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600),
                 dump_json(portable_json(spec)));
}

void take_streams(const ChildStdio& stdio) {
  if (stdio.in) return take_stdio(stdio);
  const UniqueFd null = open_null_of_its_own();
  take_stdio({sys::dup_fd(null), sys::dup_fd(null), sys::dup_fd(null)});
}

}  // namespace

void run_creator(const CreatorPlan& plan, const CgroupGuard& cgroup, const ChildEnd& parent) noexcept {
  run_child(parent, [&] {
    leave_caller();
    write_config(plan, mount_for_others(plan.spec, plan.rootfs));
    if (plan.entry == GroupEntry::before_create) cgroup.enter();
    parent.check_parent();
    take_streams(plan.stdio);
    plan.runtime->execute(plan.command);
  });
}

}  // namespace lay::runner
