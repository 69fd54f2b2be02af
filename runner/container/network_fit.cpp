#include "container/network_fit.h"

#include <algorithm>

namespace lay::runner {

void fit_to_network(ContainerConfig& config) {
  const bool is_host = config.network.mode == NetworkMode::host;
  const bool is_joined =
      config.network.mode == NetworkMode::container || config.network.mode == NetworkMode::path;
  if (!is_host && !is_joined) return;
  Linux& part = config.spec.linux_;
  if (is_host)
    std::erase_if(part.namespaces,
                  [](const Namespace& entry) { return entry.type == NamespaceType::network; });
  const auto defaults = default_spec().linux_.sysctl;
  std::erase_if(part.sysctl, [&](const auto& entry) {
    const auto match = defaults.find(entry.first);
    return match != defaults.end() && match->second == entry.second;
  });
}

}  // namespace lay::runner
