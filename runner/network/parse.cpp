#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "container/names.h"
#include "runner/network.h"

namespace lay::runner {

namespace {

void take_option(NetworkConfig& network, std::string_view option) {
  const std::size_t equals = std::min(option.find('='), option.size());
  const std::string_view key = option.substr(0, equals);
  const std::string value(option.substr(std::min(equals + 1, option.size())));
  if (key == "alias") {
    check_network_alias(value);
    network.aliases.push_back(value);
  } else if (key == "ip") {
    network.address = value;
  } else if (key == "ip6") {
    network.address6 = value;
  } else if (key == "mac") {
    network.mac_address = parse_mac_address(value);
  } else {
    throw Error::make(Errc::invalid, "network '{}': option '{}' is not known", network.name,
                      printable(option))
        .with_hint("alias=NAME, ip=ADDRESS, ip6=ADDRESS and mac=ADDRESS are");
  }
}

NetworkConfig parse_named_network(std::string_view text) {
  const std::size_t colon = std::min(text.find(':'), text.size());
  NetworkConfig network{.mode = NetworkMode::bridge};
  network.name = text.substr(0, colon);
  if (!is_network_name(network.name))
    throw Error::make(Errc::invalid, "network '{}' is not known", printable(text))
        .with_hint("use bridge, none, host, container:NAME or a network of 'lay network ls'");
  if (colon == text.size()) return network;
  for (const std::string& option : split(text.substr(colon + 1), ',')) take_option(network, option);
  return network;
}

}  // namespace

void check_network_alias(std::string_view alias) {
  if (!is_container_name(alias))
    throw Error::make(Errc::invalid, "'{}' cannot be a container's name on a network", printable(alias))
        .with_hint("letters, digits, '_', '.' and '-', the first a letter or digit");
}

NetworkConfig parse_network(std::string_view text) {
  if (text == "bridge") return {.mode = NetworkMode::bridge};
  if (text == "none") return {.mode = NetworkMode::none};
  if (text == "host") return {.mode = NetworkMode::host};
  constexpr std::string_view kPath = "ns:";
  if (text.starts_with(kPath) && text.size() > kPath.size())
    return {.mode = NetworkMode::path, .path = std::string(text.substr(kPath.size()))};
  constexpr std::string_view kContainer = "container:";
  if (!text.starts_with(kContainer)) return parse_named_network(text);
  const std::string_view name = text.substr(kContainer.size());
  if (!is_container_name(name))
    throw Error::make(Errc::invalid, "network '{}': '{}' is not a container name", printable(text),
                      printable(name))
        .with_hint("container:NAME joins the network of the running container NAME");
  return {.mode = NetworkMode::container, .container = std::string(name)};
}

}  // namespace lay::runner
