#include "network/names.h"

#include <fmt/format.h>

#include <charconv>

#include "base/error.h"
#include "base/text.h"
#include "runner/network.h"

namespace lay::runner {

NetworkNames network_names(const std::string& run) {
  const std::string path = plain_path(run);
  if (path == "/run/lay") return {.bridge = "lay0", .table = "lay"};
  const std::string name = fmt::format("lay-{:06x}", hash_of(path) & 0xffffff);
  return {.bridge = name, .table = name};
}

std::string network_run(const std::string& run, std::string_view id) {
  constexpr std::size_t kShort = 12;
  return fmt::format("{}/networks/{}", run, id.substr(0, kShort));
}

NetworkNames names_of_network(const std::string& network_run) {
  // Ten digits where a RUN has six: the two never meet
  const std::string name = fmt::format("lay-{:010x}", hash_of(plain_path(network_run)) & 0xff'ffff'ffff);
  return {.bridge = name, .table = name};
}

std::string veth_name(std::string_view container_id, unsigned attempt) {
  const std::uint64_t hash = hash_of(fmt::format("{}#{}", container_id, attempt));
  return fmt::format("lay{:012x}", hash & 0xffff'ffff'ffff);
}

MacAddress mac_address(Ipv4 address) {
  const auto bytes = network_bytes(address);
  return {0x02,     0x6c,     bytes[0],
          bytes[1], bytes[2], bytes[3]};  // bit 1 of the first byte: locally administered
}

std::string to_string(const MacAddress& mac) {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", mac[0], mac[1], mac[2], mac[3], mac[4],
                     mac[5]);
}

std::optional<MacAddress> parse_mac(std::string_view text) {
  constexpr std::size_t kStep = 3;  // two digits and what stands between
  MacAddress mac{};
  if (text.size() != mac.size() * kStep - 1) return std::nullopt;
  for (std::size_t i = 0; i < mac.size(); ++i) {
    const char* digits = text.data() + i * kStep;
    const auto [end, error] = std::from_chars(digits, digits + 2, mac[i], 16);
    if (error != std::errc{} || end != digits + 2) return std::nullopt;
    if (i > 0 && digits[-1] != ':' && digits[-1] != '-') return std::nullopt;
  }
  return mac;
}

std::string parse_mac_address(std::string_view text) {
  const std::optional<MacAddress> mac = parse_mac(text);
  constexpr std::uint8_t kGroup = 1;  // lowest bit of the first byte: many stations
  if (mac && *mac != MacAddress{} && ((*mac)[0] & kGroup) == 0) return to_string(*mac);
  throw Error::make(Errc::invalid, "'{}' is not the MAC address of one station", printable(text))
      .with_hint("six pairs of hex digits, the first of them even: 02:42:ac:11:00:02");
}

std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

}  // namespace lay::runner
