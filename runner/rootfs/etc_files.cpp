#include "rootfs/etc_files.h"

#include <fmt/format.h>

#include <vector>

#include "base/text.h"

namespace lay::runner {

namespace {

constexpr const char* kLoopbackNames =
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "ff00::\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n";

/// What follows `keyword`, or nothing when the line is another one. resolv.conf(5).
std::string_view value_of(std::string_view line, std::string_view keyword) {
  if (!line.starts_with(keyword)) return {};
  line.remove_prefix(keyword.size());
  const std::size_t begin = line.find_first_not_of(" \t");
  if (begin == 0 || begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_first_of(" \t\r#;", begin) - begin);
}

std::string_view name_server(std::string_view line) {
  return value_of(line, "nameserver");
}

bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address.starts_with("::1");
}

/// Whether the line is one that `resolver` has in its place.
bool is_replaced(std::string_view line, const ResolverConfig& resolver) {
  if (!name_server(line).empty()) return !resolver.servers.empty();
  if (!value_of(line, "search").empty() || !value_of(line, "domain").empty())
    return !resolver.searches.empty();
  return !value_of(line, "options").empty() && !resolver.options.empty();
}

std::string replacement_text(const ResolverConfig& resolver) {
  std::string text;
  for (const std::string& server : resolver.servers) text += "nameserver " + server + "\n";
  if (!resolver.searches.empty() && resolver.searches.front() != kNoSearch)
    text += "search " + join(resolver.searches, " ") + "\n";
  if (!resolver.options.empty()) text += "options " + join(resolver.options, " ") + "\n";
  return text;
}

}  // namespace

std::string hosts_text(const std::string& hostname, const std::string& address,
                       const std::vector<HostEntry>& more, std::string_view host) {
  std::string text = host.empty() ? kLoopbackNames : "";
  for (const HostEntry& entry : more) text += fmt::format("{}\t{}\n", entry.address, entry.name);
  text += host;
  if (!text.ends_with('\n')) text += '\n';
  if (!hostname.empty()) text += fmt::format("{}\t{}\n", address.empty() ? kOwnLoopback : address, hostname);
  return text;
}

bool asks_systemd_resolved(std::string_view host_text) {
  bool asks = false;
  for (const std::string& line : split(host_text, '\n')) {
    const std::string_view server = name_server(line);
    if (server.empty()) continue;
    if (server != "127.0.0.53") return false;
    asks = true;
  }
  return asks;
}

std::string resolv_conf_text(std::string_view host_text, const ResolverConfig& resolver,
                             HostLoopback loopback) {
  std::string text;
  bool has_server = !resolver.servers.empty();
  for (const std::string& line : split(host_text, '\n')) {
    const std::string_view server = name_server(line);
    const bool is_unreachable = loopback == HostLoopback::out_of_reach && is_loopback(server);
    if (is_unreachable || line.empty() || is_replaced(line, resolver)) continue;
    has_server = has_server || !server.empty();
    text += line + "\n";
  }
  text += replacement_text(resolver);
  if (!has_server && loopback == HostLoopback::out_of_reach)
    text +=
        "# the host has only name servers on its loopback, out of reach here: public ones instead\n"
        "nameserver 1.1.1.1\n"
        "nameserver 8.8.8.8\n";
  return text;
}

}  // namespace lay::runner
