#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "network/address.h"

namespace lay::runner {

/// What lay's link and nftables table are called. RUN decides, so that two RUNs do not meet.
struct NetworkNames {
  std::string bridge;  ///< "lay0", or "lay-" and six hex digits
  std::string table;   ///< "lay", or as the bridge
};

/// `run` is RUN, absolute; trailing slashes and "//" do not matter.
NetworkNames network_names(const std::string& run);

/// Where a network that users made has its leases and lock: as RUN, of a network's own. RUN/networks/<id>.
std::string network_run(const std::string& run, std::string_view id);
/// What is called how for such a place.
NetworkNames names_of_network(const std::string& network_run);

/// Name of the host's end of a container's veth: 15 characters, the most the kernel takes (IFNAMSIZ). Twelve
/// hex digits of a hash of the id and `attempt`: the caller tries the next attempt when
/// a link has that name already.
std::string veth_name(std::string_view container_id, unsigned attempt);

using MacAddress = std::array<std::uint8_t, 6>;

/// A locally administered address that holds the IPv4 address: unique on the bridge without a lease of its
/// own, and neighbours' caches stay right when an address is leased again.
MacAddress mac_address(Ipv4 address);
std::string to_string(const MacAddress& mac);
/// Six pairs of hex digits between ':' or '-'; empty when it is not that.
std::optional<MacAddress> parse_mac(std::string_view text);

/// FNV-1a, 64 bits: spreads names, no protection against one who chooses them.
std::uint64_t hash_of(std::string_view text);

}  // namespace lay::runner
