#include "flags/environment_flags.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/error.h"
#include "base/text.h"
#include "flags/options.h"
#include "flags/setting_file.h"

namespace lay::cli {

namespace {

/// In both cases, as curl, docker and podman have them.
constexpr std::array kProxies{"http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy",
                              "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY"};

void put_hosts_own(std::vector<std::string>& env) {
  for (char** entry = ::environ; *entry != nullptr; ++entry)
    if (const std::string setting = *entry; setting.find('=', 1) != std::string::npos)
      set_environment(env, setting);
}

void require_name(const std::string& name) {
  if (!name.empty() && name.find('=') == std::string::npos) return;
  throw Error::make(Errc::invalid, "--unsetenv '{}' is no name of a variable", printable(name))
      .with_hint("--unsetenv NAME");
}

}  // namespace

void EnvironmentFlags::add_to(Parser& parser) {
  parser.add_list("-e,--env", settings, "environment variable", "NAME=VALUE");
  parser.add_list("--env-file", files, "file with an environment variable in each line", "FILE");
}

void EnvironmentFlags::put_into(std::vector<std::string>& env) const {
  for (const std::string& file : files)
    read_setting_file("--env-file", file, [&](const std::string& line) { set_environment(env, line); });
  for (const std::string& setting : settings) set_environment(env, setting);
}

void BaseEnvironmentFlags::add_to(Parser& parser) {
  parser.add_flag("--env-host", takes_hosts, "the variables that are set here, too, beneath the image's");
  parser.add_flag("--http-proxy", takes_proxies, "of these http_proxy, no_proxy and their like alone");
  parser.add_list("--unsetenv", unset, "without this variable of the image or of lay", "NAME");
  parser.add_flag("--unsetenv-all", unsets_all, "without any of them");
}

void BaseEnvironmentFlags::put_beneath(std::vector<std::string>& env) const {
  if (takes_hosts) put_hosts_own(env);
  if (takes_proxies)
    for (const char* name : kProxies) set_environment(env, name);
}

void BaseEnvironmentFlags::take_from(std::vector<std::string>& env) const {
  if (unsets_all) env.clear();
  for (const std::string& name : unset) {
    require_name(name);
    std::erase_if(env, [&](const std::string& entry) { return entry.starts_with(name + "="); });
  }
}

}  // namespace lay::cli
