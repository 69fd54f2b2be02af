#pragma once

#include "runner/network_store.h"

namespace lay::runner {

/// What the rules of a network let through.
struct NetworkPolicy {
  Reach reach = Reach::everywhere;
  Neighbours neighbours = Neighbours::in_reach;
  Metadata metadata = Metadata::in_reach;

  NetworkPolicy(Reach network_reach = Reach::everywhere) : reach(network_reach) {}
  explicit NetworkPolicy(const NetworkDefinition& network)
      : reach(network.reach), neighbours(network.neighbours), metadata(network.metadata) {}
};

}  // namespace lay::runner
