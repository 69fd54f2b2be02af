#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

/// What a container finds in /etc/hosts and /etc/resolv.conf beyond lay's defaults.
namespace lay::runner {

/// A line of hosts(5).
struct HostEntry {
  std::string name;
  std::string address;  ///< IPv4, IPv6, or kHostGateway

  bool operator==(const HostEntry&) const = default;
};

/// Stands for the address by which the container reaches its host, known when it starts.
inline constexpr const char* kHostGateway = "host-gateway";
/// The one search domain that stands for none at all, as docker has it.
inline constexpr const char* kNoSearch = ".";

enum class EtcFile {
  made,        ///< by lay, bound over the image's
  images_own,  ///< the image's own stays in sight
};

/// Each list that is not empty takes the place of what the host's resolv.conf has of its kind.
struct ResolverConfig {
  std::vector<std::string> servers;
  std::vector<std::string> searches;
  std::vector<std::string> options;
  std::vector<HostEntry> hosts;
  EtcFile hosts_file = EtcFile::made;
  EtcFile resolver_file = EtcFile::made;

  bool operator==(const ResolverConfig&) const = default;
  bool is_default() const { return *this == ResolverConfig{}; }
};

/// "NAME:ADDRESS" or "NAME=ADDRESS"; an IPv6 address may stand in brackets. Throws invalid, with a hint.
HostEntry parse_host_entry(std::string_view text);
/// Throw invalid for what cannot stand in resolv.conf(5) as one address, domain or option: with it a text
/// from elsewhere would add lines of its own.
void check_name_server(std::string_view text);
void check_search_domain(std::string_view text);
void check_resolver_option(std::string_view text);

Json to_json(const ResolverConfig& resolver);
/// The default when `json` is null.
ResolverConfig parse_resolver(const Json* json);

}  // namespace lay::runner
