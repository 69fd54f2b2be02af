#include "base/error.h"
#include "base/text.h"
#include "runner/network.h"

namespace lay::runner {

namespace {

bool is_container_name(std::string_view name) {
  const auto is_alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  if (name.empty() || !is_alphanumeric(name.front())) return false;
  for (const char c : name)
    if (!is_alphanumeric(c) && c != '_' && c != '.' && c != '-') return false;
  return true;
}

}  // namespace

NetworkConfig parse_network(std::string_view text) {
  if (text == "bridge") return {.mode = NetworkMode::bridge};
  if (text == "none") return {.mode = NetworkMode::none};
  if (text == "host") return {.mode = NetworkMode::host};
  constexpr std::string_view kContainer = "container:";
  if (!text.starts_with(kContainer))
    throw Error::make(Errc::invalid, "network '{}' is not known", printable(text))
        .with_hint("use bridge, none, host or container:NAME");
  const std::string_view name = text.substr(kContainer.size());
  if (!is_container_name(name))
    throw Error::make(Errc::invalid, "network '{}': '{}' is not a container name", printable(text),
                      printable(name))
        .with_hint("container:NAME joins the network of the running container NAME");
  return {.mode = NetworkMode::container, .container = std::string(name)};
}

}  // namespace lay::runner
