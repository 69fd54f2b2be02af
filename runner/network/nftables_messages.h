#pragma once

#include <libmnl/libmnl.h>

#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "network/netlink.h"
#include "network/nftables_rules.h"

/// Messages of the nf_tables subsystem that each of lay's tables is made with.
namespace lay::runner {

/// Owner of an object of libnftnl's.
template <class T>
std::unique_ptr<T, void (*)(const T*)> own(T* object, void (*release)(const T*)) {
  if (object == nullptr) throw std::bad_alloc();
  return {object, release};
}

/// A request without its payload; `family` is NFPROTO_IPV4 or NFPROTO_BRIDGE.
NetlinkMessage begin_nft_message(std::string what, std::uint16_t type, std::uint16_t flags,
                                 std::uint16_t family);
/// Puts the marks of a transaction around `requests`; the answer is asked of the last request.
std::vector<NetlinkMessage> transaction(std::vector<NetlinkMessage> requests);

/// Puts `more` behind `requests`.
void append(std::vector<NetlinkMessage>& requests, std::vector<NetlinkMessage> more);

/// How many rules a table has; 0 when there is none.
std::size_t count_rules(NetlinkSocket& socket, const std::string& table, std::uint16_t family);

/// Requests that leave an empty table, whether or not there was one.
std::vector<NetlinkMessage> renew_table(const std::string& name, std::uint16_t family);
/// Requests that leave none.
std::vector<NetlinkMessage> remove_table(const std::string& name, std::uint16_t family);
NetlinkMessage chain_message(const std::string& table, const ChainPlan& plan, std::uint16_t family);

}  // namespace lay::runner
