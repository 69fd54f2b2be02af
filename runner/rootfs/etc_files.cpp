#include "rootfs/etc_files.h"

#include <fmt/format.h>

#include <vector>

#include "base/text.h"

namespace lay::runner {

namespace {

/// What follows "nameserver", or nothing when the line is another one. resolv.conf(5).
std::string_view name_server(std::string_view line) {
  constexpr std::string_view kKeyword = "nameserver";
  if (!line.starts_with(kKeyword)) return {};
  line.remove_prefix(kKeyword.size());
  const std::size_t begin = line.find_first_not_of(" \t");
  if (begin == 0 || begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_first_of(" \t\r#;", begin) - begin);
}

bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address.starts_with("::1");
}

}  // namespace

std::string hosts_text(const std::string& hostname, const std::string& address) {
  std::string text =
      "127.0.0.1\tlocalhost\n"
      "::1\tlocalhost ip6-localhost ip6-loopback\n"
      "fe00::\tip6-localnet\n"
      "ff00::\tip6-mcastprefix\n"
      "ff02::1\tip6-allnodes\n"
      "ff02::2\tip6-allrouters\n";
  if (!hostname.empty()) text += fmt::format("{}\t{}\n", address.empty() ? "127.0.1.1" : address, hostname);
  return text;
}

std::string resolv_conf_text(std::string_view host_text) {
  std::string text;
  bool has_server = false;
  for (const std::string& line : split(host_text, '\n')) {
    const std::string_view server = name_server(line);
    if (is_loopback(server) || line.empty()) continue;
    has_server = has_server || !server.empty();
    text += line + "\n";
  }
  if (!has_server)
    text +=
        "# the host has only name servers on its loopback, out of reach here: public ones instead\n"
        "nameserver 1.1.1.1\n"
        "nameserver 8.8.8.8\n";
  return text;
}

}  // namespace lay::runner
