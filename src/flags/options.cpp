#include "flags/options.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "output/messages.h"
#include "runner/lifecycle.h"

namespace lay::cli {

void ImageFlags::add_to(Parser& parser) {
  parser.add_option("--cmd", cmd, "default command: a shell line, or a JSON list").type_name("COMMAND");
  parser.add_option("--entrypoint", entrypoint, "what the command is given to").type_name("COMMAND");
  parser.add_list("-e,--env", env, "environment variable", "NAME=VALUE");
  parser.add_list("--expose", expose, "port the service listens on", "PORT[/PROTO]");
  parser.add_list("--label", labels, "label of the image", "KEY=VALUE");
  parser.add_list("--volume", volumes, "folder that holds data", "PATH");
  parser.add_option("-w,--workdir", workdir, "folder the command starts in").type_name("PATH");
  parser.add_option("-u,--user", user, "user the command runs as").type_name("USER[:GROUP]");
  parser.add_option("--stop-signal", stop_signal, "signal that stops the service").type_name("SIGNAL");
  parser.add_option("--compression", compression, "zstd (default), gzip or none").type_name("NAME");
  parser.add_option("--compression-level", level, "0: the default of the compression").type_name("N");
  parser.add_option("-a,--author", author, "who made the image").type_name("TEXT");
  parser.add_option("-m,--message", message, "what was done, for the history").type_name("TEXT");
}

namespace {

/// "80" or "80/tcp" as the image config has it.
std::string exposed_port(const std::string& text) {
  const std::vector<std::string> parts = split(text, '/');
  const std::string protocol = parts.size() > 1 ? parts[1] : "tcp";
  const auto port = parse_number(parts[0]);
  const bool valid = parts.size() <= 2 && port && *port >= 1 && *port <= 65535 &&
                     (protocol == "tcp" || protocol == "udp" || protocol == "sctp");
  if (!valid)
    throw Error::make(Errc::invalid, "exposed '{}' is no port", printable(text))
        .with_hint("a port is written as 80 or 53/udp");
  return fmt::format("{}/{}", *port, protocol);
}

/// "8000-8010/udp" as one port each.
std::vector<std::string> exposed_ports(const std::string& text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string::npos) return {exposed_port(text)};
  const std::size_t slash = std::min(text.find('/'), text.size());
  const auto first = parse_number(text.substr(0, dash));
  const auto last = slash > dash ? parse_number(text.substr(dash + 1, slash - dash - 1)) : std::nullopt;
  if (!first || !last || *first > *last || *last > 65535)
    throw Error::make(Errc::invalid, "exposed '{}' is no range of ports", printable(text))
        .with_hint("a range is written as 8000-8010 or 8000-8010/udp");
  std::vector<std::string> ports;
  for (std::uint64_t port = *first; port <= *last; ++port)
    ports.push_back(exposed_port(std::to_string(port) + text.substr(slash)));
  return ports;
}

}  // namespace

layerstore::RunDefaults ImageFlags::over(layerstore::RunDefaults base) const {
  if (entrypoint) {
    base.entrypoint = parse_command_line(*entrypoint);
    if (!cmd) base.cmd.clear();  // as docker: arguments of the old entrypoint mean nothing to a new one
  }
  if (cmd) base.cmd = parse_command_line(*cmd);
  for (const std::string& setting : env) set_environment(base.env, setting);
  if (workdir) {
    if (workdir->empty() || workdir->front() != '/')
      throw Error::make(Errc::invalid, "working directory '{}' is not an absolute path", printable(*workdir))
          .with_hint("a path such as /srv");
    base.working_dir = *workdir;
  }
  if (user) base.user = *user;
  for (const std::string& text : expose)
    for (std::string& port : exposed_ports(text)) base.exposed_ports.insert(std::move(port));
  for (const std::string& volume : volumes) {
    if (!volume.starts_with('/'))
      throw Error::make(Errc::invalid, "volume '{}' is not an absolute path", printable(volume))
          .with_hint("a path such as /var/lib/data");
    base.volumes.insert(volume);
  }
  for (const std::string& label : labels)
    base.labels.insert_or_assign(parse_label(label).first, parse_label(label).second);
  if (stop_signal) {
    if (!stop_signal->empty()) runner::parse_signal(*stop_signal);
    base.stop_signal = *stop_signal;
  }
  return base;
}

layerstore::CompressOptions ImageFlags::compress_options(
    layerstore::media_type::ManifestFormat format) const {
  const bool is_docker = format == layerstore::media_type::ManifestFormat::docker;
  const std::string usual = is_docker ? "gzip" : "zstd";
  return {.compression = layerstore::parse_compression(compression.value_or(usual)), .level = level};
}

std::vector<std::string> parse_command_line(const std::string& text) {
  const std::size_t start = text.find_first_not_of(" \t");
  if (start == std::string::npos) return {};
  if (text[start] != '[') return {"/bin/sh", "-c", text};
  const Json list = parse_json(text, "command '" + printable(text) + "'");
  return json_strings(Json{{"command", list}}, "command");
}

void set_environment(std::vector<std::string>& env, const std::string& setting) {
  const std::string name = setting.substr(0, setting.find('='));
  if (name.empty())
    throw Error::make(Errc::invalid, "environment variable '{}' has no name", printable(setting))
        .with_hint("-e NAME=value");
  const auto same_name = [&](const std::string& entry) {
    return entry.compare(0, name.size() + 1, name + "=") == 0;
  };
  std::string entry = setting;
  if (name.size() == setting.size()) {
    const char* here = std::getenv(name.c_str());
    if (here == nullptr) return;
    entry = name + "=" + here;
  }
  std::erase_if(env, same_name);
  env.push_back(entry);
}

std::pair<std::string, std::string> parse_label(const std::string& text) {
  const std::size_t end = text.find('=');
  const std::string key = text.substr(0, end);
  if (key.empty())
    throw Error::make(Errc::invalid, "label '{}' has no key", printable(text)).with_hint("--label KEY=value");
  return {key, end == std::string::npos ? "" : text.substr(end + 1)};
}

void TlsFlag::add_to(Parser& parser, const std::string& names, const std::string& about) {
  parser.add_flag(names, verifies, about);
}

registry::TlsVerify TlsFlag::value() const {
  if (!verifies) return registry::TlsVerify::usual;
  return *verifies ? registry::TlsVerify::required : registry::TlsVerify::off;
}

void ConnectionFlags::add_to(Parser& parser) {
  tls.add_to(parser, "--tls-verify,!--no-tls-verify", kTlsAbout);
  parser.add_option("--creds", creds, "credentials for this call").type_name("USER[:PASSWORD]");
  parser.add_option("--authfile", authfile, "auth file to read instead of the usual ones").type_name("FILE");
  parser.add_option("--cert-dir", cert_dir, "*.crt, *.cert and *.key instead of the certs.d folders")
      .type_name("DIR");
  parser.add_option("--retry", retries, "tries after a failure that may pass (5)").type_name("N");
  parser.add_option("--retry-delay", retry_delay, "before the first of them, then doubled (0.3)")
      .within(0.0, 3600.0)
      .type_name("SECONDS");
}

/// Before anything is asked for without the logins that were meant.
static void require_file(const char* what, const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0)
    throw Error::from_errno("{} '{}'", what, path).with_hint("lay login --authfile FILE makes one");
}

void tell_silence(const std::string& host) {
  print_note(fmt::format("waiting for '{}', which does not answer yet", printable(host)));
}

registry::Connection ConnectionFlags::connection() const {
  registry::Connection connection;
  connection.on_silence = tell_silence;
  connection.tls_verify = tls.value();
  if (!creds.empty()) {
    const std::size_t colon = creds.find(':');
    connection.credentials = registry::Credentials{
        .username = creds.substr(0, colon),
        .password = colon == std::string::npos ? "" : creds.substr(colon + 1),
        .identity_token = "",
    };
  }
  connection.token_servers = trusted_token_servers();
  if (!authfile.empty()) {
    require_file("auth file", authfile);
    connection.authfile = authfile;
  }
  if (!cert_dir.empty()) connection.cert_dir = cert_dir;
  connection.patience.retries = retries;
  if (retry_delay > 0)
    connection.patience.first_delay = std::chrono::milliseconds{static_cast<long>(retry_delay * 1000)};
  return connection;
}

void require_one_registry(const std::set<std::string>& domains) {
  if (domains.size() < 2) return;
  throw Error::make(Errc::invalid, "--creds are for one registry, and {} would be asked: {}", domains.size(),
                    printable(join(std::vector<std::string>(domains.begin(), domains.end()), ", ")))
      .with_hint("name one registry; or 'lay login --authfile FILE REGISTRY' for each, then --authfile FILE");
}

std::vector<std::string> trusted_token_servers() {
  const char* hosts = std::getenv("LAY_TOKEN_SERVERS");
  return hosts == nullptr ? std::vector<std::string>{} : split(hosts, ',');
}

std::uint64_t upload_chunk() {
  const char* text = std::getenv("LAY_UPLOAD_CHUNK");
  if (text == nullptr) return registry::PushRequest{}.chunk;
  const auto size = parse_size(text);
  if (!size || *size == 0)
    throw Error::make(Errc::invalid, "LAY_UPLOAD_CHUNK: '{}' is not a size", printable(text))
        .with_hint("a number with k, m or g: 64m");
  return *size;
}

}  // namespace lay::cli
