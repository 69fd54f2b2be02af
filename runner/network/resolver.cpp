#include "runner/resolver.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"
#include "network/address.h"

namespace lay::runner {

namespace {

constexpr std::size_t kMaxName = 253;  // RFC 1035
constexpr std::size_t kMaxOption = 64;
constexpr std::string_view kAlphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

bool consists_of(std::string_view text, std::string_view more) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return kAlphanumeric.find(c) != std::string_view::npos || more.find(c) != std::string_view::npos;
  });
}

bool is_host_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName && consists_of(name, "-._") && name.front() != '-' &&
         name.front() != '.';
}

bool is_address(std::string_view text) {
  if (parse_ipv4(text)) return true;
  std::array<std::uint8_t, 16> bytes{};
  return ::inet_pton(AF_INET6, std::string(text).c_str(), bytes.data()) == 1 &&
         text.find('\0') == std::string_view::npos;
}

std::string_view without_brackets(std::string_view text) {
  return text.size() > 2 && text.front() == '[' && text.back() == ']' ? text.substr(1, text.size() - 2)
                                                                      : text;
}

}  // namespace

HostEntry parse_host_entry(std::string_view text) {
  const std::size_t end = text.find_first_of(":=");
  const auto fail = [&](const char* why) {
    return Error::make(Errc::invalid, "host entry '{}': {}", printable(text), why)
        .with_hint("--add-host db:192.0.2.7, or --add-host me:host-gateway");
  };
  if (end == std::string_view::npos) throw fail("expected NAME:ADDRESS");
  HostEntry entry{.name = std::string(text.substr(0, end)),
                  .address = std::string(without_brackets(text.substr(end + 1)))};
  if (!is_host_name(entry.name)) throw fail("the name is not one of letters, digits, '-', '_' and '.'");
  if (entry.address != kHostGateway && !is_address(entry.address))
    throw fail("what it leads to is no IP address");
  return entry;
}

void check_name_server(std::string_view text) {
  if (is_address(text)) return;
  throw Error::make(Errc::invalid, "name server '{}' is no IP address", printable(text))
      .with_hint("--dns 192.0.2.53; --dns none keeps the image's resolv.conf");
}

void check_search_domain(std::string_view text) {
  if (text == kNoSearch || is_host_name(text)) return;
  throw Error::make(Errc::invalid, "search domain '{}' is no domain name", printable(text))
      .with_hint("--dns-search example.org; --dns-search . for none");
}

void check_resolver_option(std::string_view text) {
  if (!text.empty() && text.size() <= kMaxOption && consists_of(text, "-_:.")) return;
  throw Error::make(Errc::invalid, "resolver option '{}' is none", printable(text))
      .with_hint("--dns-option ndots:2; resolv.conf(5) lists them");
}

Json to_json(const ResolverConfig& resolver) {
  Json hosts = Json::array();
  for (const HostEntry& entry : resolver.hosts)
    hosts.push_back({{"name", entry.name}, {"address", entry.address}});
  return {{"servers", resolver.servers},
          {"searches", resolver.searches},
          {"options", resolver.options},
          {"hosts", std::move(hosts)},
          {"imagesHosts", resolver.hosts_file == EtcFile::images_own},
          {"imagesResolver", resolver.resolver_file == EtcFile::images_own}};
}

ResolverConfig parse_resolver(const Json* json) {
  ResolverConfig resolver;
  if (json == nullptr) return resolver;
  resolver.servers = json_strings(*json, "servers");
  resolver.searches = json_strings(*json, "searches");
  resolver.options = json_strings(*json, "options");
  for (const Json& entry : json_array(*json, "hosts"))
    resolver.hosts.push_back({.name = json_string(entry, "name"), .address = json_string(entry, "address")});
  if (json_bool_or(*json, "imagesHosts", false)) resolver.hosts_file = EtcFile::images_own;
  if (json_bool_or(*json, "imagesResolver", false)) resolver.resolver_file = EtcFile::images_own;
  return resolver;
}

}  // namespace lay::runner
