#include <utility>

#include "base/error.h"
#include "oci/create.h"
#include "oci/first_process.h"
#include "process/relay.h"

namespace lay::runner {

namespace {

/// Removes a container that could not be started, or has ended.
class RemovedAtEnd {
 public:
  RemovedAtEnd(const OciStore& store, const OciCreateRequest& request) : store_(store), request_(request) {}
  RemovedAtEnd(const RemovedAtEnd&) = delete;
  RemovedAtEnd& operator=(const RemovedAtEnd&) = delete;
  ~RemovedAtEnd() {
    if (is_kept_) return;
    try {
      oci_remove(store_, request_.id, OciRemoval::forced, request_.warn);
    } catch (const Error&) {
      // `list` shows it
    }
  }
  void keep() { is_kept_ = true; }

 private:
  const OciStore& store_;
  const OciCreateRequest& request_;
  bool is_kept_ = false;
};

}  // namespace

int oci_run(const OciStore& store, const OciCreateRequest& request, OciAfterRun after) {
  const SignalQueue signals;
  OciCreated created = make_oci_container(store, request, OciTerminal::kept);
  RemovedAtEnd removed(store, request);
  oci_start(store, request.id);
  const bool has_terminal = static_cast<bool>(created.console);
  ParentStdio stdio;
  if (has_terminal) stdio = parent_side(std::move(created.console), InputMode::relayed);
  relay_until_end(created.process.pidfd(), std::move(stdio), signals, {.terminal = has_terminal});
  const int exit_code = created.process.wait();
  if (after == OciAfterRun::kept) removed.keep();
  return exit_code;
}

void oci_run_detached(const OciStore& store, const OciCreateRequest& request) {
  oci_create(store, request);
  RemovedAtEnd removed(store, request);
  oci_start(store, request.id);
  removed.keep();
}

}  // namespace lay::runner
