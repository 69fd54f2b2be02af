#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "runner/container.h"
#include "runner/network.h"

namespace lay::runner {

/// All that one container has on its networks, in the order of its links. Without one nothing is read or
/// done.
class ContainerNetworks {
 public:
  /// First halves (BridgeAttachment::reserve). Ports are published on the first network where they can be.
  static ContainerNetworks reserve(const ContainerStore& store, const Container& container);

  /// On the first network; null without one.
  const Attachment* first() const;
  /// The ports with the host ports really taken.
  std::vector<PortMapping> ports() const;
  /// Remarks for the user.
  std::vector<std::string> notes() const;

  void tell_names() const;
  /// Second halves.
  void connect(pid_t pid);

 private:
  std::vector<BridgeAttachment> attachments_;
};

/// A container on that network; empty on the bridge of all. Throws not_found when there is no such network.
std::optional<NetworkMember> member_on(const ContainerStore& store, const Container& container,
                                       const Endpoint& endpoint);
/// What BridgeAttachment::reserve is to get for one of several networks.
NetworkConfig config_on(const Endpoint& endpoint);

}  // namespace lay::runner
