#include "http/proxy.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <initializer_list>
#include <optional>

#include "base/text.h"
#include "http/address.h"

namespace lay::registry {

namespace {

using Address = std::array<unsigned char, 16>;  // IPv4 mapped into IPv6
constexpr std::size_t kAddressBits = 128;
constexpr std::size_t kIpv4Offset = 96;  // bits in front of a mapped one

std::optional<Address> parse_address(const std::string& text) {
  Address address{};
  if (::inet_pton(AF_INET6, text.c_str(), address.data()) == 1) return address;
  address.fill(0);
  address[10] = address[11] = 0xff;
  if (::inet_pton(AF_INET, text.c_str(), address.data() + 12) == 1) return address;
  return std::nullopt;
}

bool is_in_net(const Address& address, const Address& net, std::size_t bits) {
  for (std::size_t bit = 0; bit < bits; ++bit) {
    const auto mask = static_cast<unsigned char>(0x80 >> bit % 8);
    if (((address[bit / 8] ^ net[bit / 8]) & mask) != 0) return false;
  }
  return true;
}

bool covers_address(const std::string& entry, const Address& address) {
  const std::size_t slash = std::min(entry.find('/'), entry.size());
  const std::string start = entry.substr(0, slash);
  const auto net = parse_address(start);
  if (!net) return false;
  if (slash == entry.size()) return *net == address;
  const auto bits = parse_number(std::string_view(entry).substr(slash + 1));
  const std::size_t before = start.find(':') == std::string::npos ? kIpv4Offset : 0;
  if (!bits || *bits > kAddressBits - before) return false;
  return is_in_net(address, *net, static_cast<std::size_t>(*bits) + before);
}

std::string without_brackets(const std::string& host) {
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  return bracketed ? host.substr(1, host.size() - 2) : host;
}

bool covers_name(std::string_view entry, const std::string& host) {
  if (entry.starts_with("*.")) entry.remove_prefix(1);
  if (entry.starts_with('.')) return host.ends_with(entry);
  return host == entry || host.ends_with("." + std::string(entry));
}

/// Takes ":port" off the end; nothing of an IPv6 address without brackets.
std::optional<std::uint64_t> cut_port(std::string& entry) {
  const std::size_t colon = entry.rfind(':');
  if (colon == std::string::npos || parse_address(entry)) return std::nullopt;
  const auto port = parse_number(std::string_view(entry).substr(colon + 1));
  if (port) entry.resize(colon);
  return port;
}

bool is_covered(std::string entry, const Url& url) {
  if (entry == "*") return true;
  const auto port = entry.find('/') == std::string::npos ? cut_port(entry) : std::nullopt;
  if (entry.empty() || (port && *port != url.port())) return false;
  entry = without_brackets(entry);
  const std::string host = without_brackets(url.host());
  if (const auto address = parse_address(host)) return covers_address(entry, *address);
  return covers_name(entry, host);
}

std::string first_set(std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (const char* value = std::getenv(name); value != nullptr && *value != '\0') return value;
  return {};
}

std::string proxy_of_environment(bool is_https) {
  if (is_https) return first_set({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"});
  if (std::getenv("REQUEST_METHOD") != nullptr) return first_set({"http_proxy", "all_proxy", "ALL_PROXY"});
  return first_set({"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"});
}

}  // namespace

bool is_excepted(std::string_view list, const Url& url) {
  constexpr std::string_view kSeparators = ", \t";
  while (!list.empty()) {
    const std::size_t end = std::min(list.find_first_of(kSeparators), list.size());
    if (is_covered(to_lower(list.substr(0, end)), url)) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

std::string find_proxy(const Url& url) {
  if (is_loopback_host(url.host())) return {};
  if (is_excepted(first_set({"no_proxy", "NO_PROXY"}), url)) return {};
  return proxy_of_environment(url.is_https());
}

std::string shown_proxy(const Url& url) {
  std::string proxy = find_proxy(url);
  const std::size_t at = proxy.rfind('@');
  if (at == std::string::npos) return printable(proxy);
  const std::size_t scheme = proxy.find("://");
  const std::size_t login = scheme < at ? scheme + 3 : 0;
  return printable(proxy.erase(login, at + 1 - login));
}

}  // namespace lay::registry
