#include <fcntl.h>

#include "base/folder_names.h"
#include "base/syscalls.h"
#include "network/bridge.h"
#include "network/leases.h"
#include "network/names.h"
#include "network/peer_names.h"
#include "runner/network.h"

namespace lay::runner {

namespace {

/// `place` is the RUN of one network.
void sweep_network(const std::string& place, const NetworkNames& names) {
  const LeaseBook leases = LeaseBook::open(place);
  const NetworkLock lock = leases.lock();
  clear_dead_leases(names, leases);
  remove_unused_bridge(names, leases);
  tell_peer_names(leases);
}

/// The folders tell what there was, whatever became of the definitions.
void sweep_named_networks(const std::string& run) {
  const auto folder = sys::try_open_at(sys::cwd(), run + "/networks", O_RDONLY | O_DIRECTORY);
  if (!folder) return;
  for (const std::string& id : list_names(*folder)) {
    const std::string place = network_run(run, id);
    sweep_network(place, names_of_network(place));
  }
}

}  // namespace

void sweep_networks(const std::string& run) {
  sweep_network(run, network_names(run));
  sweep_named_networks(run);
}

}  // namespace lay::runner
