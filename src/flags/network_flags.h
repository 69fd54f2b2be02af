#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/file_lock.h"
#include "flags/parser.h"
#include "runner/network.h"

namespace lay::cli {

/// -P, --dns, --add-host … of run: what there is to say about a container's network beside which one it is.
struct NetworkFlags {
  std::vector<std::string> expose;
  std::vector<std::string> dns;
  std::vector<std::string> dns_searches;
  std::vector<std::string> dns_options;
  std::vector<std::string> hosts;
  std::string mac_address;
  std::vector<std::string> aliases;
  std::string address;
  std::string address6;
  bool publish_all = false;
  bool no_hosts = false;

  void add_to(Parser& parser);
  /// Puts the flags over `network`, whose mode and ports are settled; `exposed` is what the image exposes.
  /// Throws invalid for what is not understood, or means nothing in that mode.
  void apply(runner::NetworkConfig& network, const std::set<std::string>& exposed) const;
};

/// Puts names in place of the ids by which networks of users may be written. Throws not_found, and what of
/// addresses and ports those networks cannot have.
void find_networks(const std::string& root, runner::NetworkConfig& network);
/// As find_networks. What is returned is held until the container is made: meanwhile nobody removes them.
std::optional<FileLock> settle_networks(const std::string& root, runner::NetworkConfig& network);

}  // namespace lay::cli
