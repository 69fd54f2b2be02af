#include <fcntl.h>
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "base/error.h"
#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "images/source_path.h"
#include "output/messages.h"
#include "registry/server.h"

namespace lay::cli {

namespace {

/// "90s", "15m", "24h", "7d"; a number alone is seconds. Throws invalid.
std::chrono::seconds parse_duration(const std::string& flag, const std::string& text) {
  const std::string_view units = "smhd";
  const std::size_t unit = text.empty() ? std::string::npos : units.find(text.back());
  constexpr std::uint64_t kLongest =
      std::uint64_t{36'500} * 86400;  // a time that far off can still be counted
  static constexpr std::array<std::int64_t, 4> kSeconds{1, 60, 3600, 86400};
  const auto number = parse_number(unit == std::string::npos ? text : text.substr(0, text.size() - 1));
  const std::int64_t seconds = unit == std::string::npos ? 1 : kSeconds.at(unit);
  if (!number || *number > kLongest / static_cast<std::uint64_t>(seconds))
    throw Error::make(Errc::invalid, "{}: '{}' is no duration", flag, printable(text))
        .with_hint("write 90s, 15m, 24h or 7d, and at most 36500d");
  return std::chrono::seconds(static_cast<std::int64_t>(*number) * seconds);
}

/// Flags whose text has to be read before they are options.
struct ServeFlags {
  registry::ServeOptions options;
  std::string htpasswd;
  std::string certificate;
  std::string key;
  std::string keep_untagged = "7d";
  std::string keep_uploads = "24h";
  std::string collect_every = "1h";
  std::string idle = "60s";
  std::string stop_timeout = "10s";

  void add_to(Parser& parser) {
    parser.add_option("--listen", options.listen, "where (127.0.0.1:5000); port 0 is any free one")
        .type_name("ADDRESS:PORT");
    parser.add_option("--name", options.name, "host in the names of what is pushed (localhost:PORT)")
        .type_name("HOST[:PORT]");
    parser.add_option("--htpasswd", htpasswd, "who may log in; made by htpasswd -B").type_name("FILE");
    parser.add_option("--tls-cert", certificate, "certificate, PEM").type_name("FILE");
    parser.add_option("--tls-key", key, "its key, PEM").type_name("FILE");
    parser.add_list("--allow", options.allow, "only what such rules say: read, write or delete",
                    "USER:REPOSITORY:RIGHT");
    parser.add_flag("--anonymous-pull", options.anonymous_pull, "reading needs no login");
    parser.add_flag("--read-only", options.read_only,
                    "nothing can be pushed or deleted, and nothing expires");
    parser.add_flag("--only-pushed", options.only_pushed, "images with local names are not served");
    parser.add_flag("--insecure-listen", options.insecure_listen,
                    "let other machines in without TLS or without login");
    parser.add_option("--access-log", options.access_log, "JSON lines: - for stderr, none, or a file")
        .type_name("FILE");
    parser.add_option("--keep-untagged", keep_untagged, "manifests without a tag (7d), or forever")
        .type_name("DURATION");
    parser.add_option("--keep-uploads", keep_uploads, "uploads that nobody goes on with (24h)")
        .type_name("DURATION");
    parser.add_option("--collect-every", collect_every, "how often what nobody needs is removed (1h)")
        .type_name("DURATION");
    parser.add_option("--idle-timeout", idle, "of a connection (60s)").type_name("DURATION");
    parser.add_option("--stop-timeout", stop_timeout, "for requests under way at SIGTERM (10s)")
        .type_name("DURATION");
    parser.add_option("--max-connections", options.max_connections, "at once (4096)")
        .type_name("N")
        .positive();
    parser.add_option("--max-uploads", options.max_uploads, "open at once (1024)").type_name("N").positive();
  }

  registry::ServeOptions read() {
    for (const std::string* file : {&htpasswd, &certificate, &key})
      if (!file->empty()) open_source(*file, O_PATH);
    if (!htpasswd.empty()) options.htpasswd = htpasswd;
    if (!certificate.empty()) options.tls_certificate = certificate;
    if (!key.empty()) options.tls_key = key;
    options.keep_untagged = keep_untagged == "forever"
                                ? std::nullopt
                                : std::optional(parse_duration("--keep-untagged", keep_untagged));
    options.keep_uploads = parse_duration("--keep-uploads", keep_uploads);
    options.collect_interval = parse_duration("--collect-every", collect_every);
    if (options.collect_interval.count() == 0)
      throw Error(Errc::invalid, "--collect-every: 0 would collect without a pause");
    options.idle = parse_duration("--idle-timeout", idle);
    options.stop_timeout = parse_duration("--stop-timeout", stop_timeout);
    return std::move(options);
  }
};

}  // namespace

int command_serve(const Context& context, const Arguments& arguments) {
  ServeFlags flags;
  Parser parser("serve", "[flags]",
                "Serves this store as a registry until SIGINT or SIGTERM. Prints the address "
                "it listens on. What is pushed can be run here at once, what is committed "
                "here can be pulled.");
  flags.add_to(parser);
  parser.parse(arguments);
  require_root("serve");

  return with_context("serve", [&]() -> int {
    registry::ServeOptions options = flags.read();
    registry::check_options(options);
    const layerstore::Store store = open_store(context);  // a wrong argument makes none
    const runner::ContainerStore containers = open_containers(context);
    options.in_use = [&] { return in_use_by(store, containers); };
    options.report = [](const Error& error) { print_trouble(error); };
    registry::Server server(store, options);
    fmt::print("{}\n", server.url());
    std::fflush(stdout);
    print_note("what is pushed here is named " + server.name() + "/REPOSITORY:TAG");
    if (!server.run_until_stopped()) print_note("some requests were cut off: uploads can be resumed");
    // Threads may wait for a disk, a lock or a collection; being killed is safe at any moment.
    std::fflush(nullptr);
    std::_Exit(0);
  });
}

}  // namespace lay::cli
