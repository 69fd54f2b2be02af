#include <csignal>

#include "base/error.h"
#include "oci/first_process.h"
#include "oci/store.h"
#include "process/process.h"
#include "security/seccomp_listener.h"

namespace lay::runner {

namespace {

/// A failure is the container's end.
void run_poststart_hooks(const OciContainer& container) {
  if (!container.record().has_late_hooks) return;
  const Hooks hooks = parse_hooks(parse_json(config_of(container), "config.json"));
  try {
    run_hooks(hooks.poststart, "poststart", container.state());
  } catch (const Error&) {
    if (const auto first = open_first_process(container.record())) send_signal(*first, SIGKILL);
    throw;
  }
}

}  // namespace

void oci_start(const OciStore& store, const std::string& id) {
  with_context(fmt::format("start '{}'", id), [&] {
    const LockedOci locked = lock_oci(store, id);
    const OciContainer& container = locked.container;
    const OciStatus status = container.settled_status();
    if (!container.record().is_made || status != OciStatus::created)
      throw Error::make(Errc::invalid, "cannot start a container that is {}", to_string(status))
          .with_hint("only one that is created can be started, and once");
    const ParentEnd first = connect_for_start(container.dir());
    const std::string& agent = container.record().seccomp_agent;
    std::vector<UniqueFd> fds;
    if (!agent.empty()) fds.push_back(connect_seccomp_agent(agent));
    first.hand_over(fds);
    first.wait_for_exec();
    run_poststart_hooks(container);
  });
}

}  // namespace lay::runner
