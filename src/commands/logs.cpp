#include <cstdio>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "lists/moment.h"
#include "runner/lifecycle.h"

namespace lay::cli {

int command_logs(const Context& context, const Arguments& arguments) {
  std::string name;
  std::string tail = "all";
  std::optional<std::string> since;
  std::optional<std::string> until;
  bool follow = false;
  runner::LogRequest request;
  Parser parser("logs", "[flags] CONTAINER", "Shows what a container has written to stdout and stderr.");
  parser.add_option("container", name, "name or id").required();
  parser.add_flag("-f,--follow", follow, "go on until the container ends");
  parser.add_flag("-t,--timestamps", request.timestamps, "with the time of each line");
  parser.add_option("-n,--tail", tail, "the last N lines only, or all").type_name("N");
  parser.add_option("--since", since, "what was written from then on: a time, or 10m for ten minutes ago")
      .type_name("TIME");
  parser.add_option("--until", until, "what was written until then").type_name("TIME");
  parser.parse(arguments);

  if (since) request.since = parse_moment("--since", *since);
  if (until) request.until = parse_moment("--until", *until);
  if (tail != "all") {
    request.tail = parse_number(tail);
    if (!request.tail)
      throw UsageError{fmt::format("--tail '{}' is neither a number nor 'all'", printable(tail))};
  }
  if (follow) request.follow = runner::LogFollow::yes;
  return with_context("logs " + printable(name), [&] {
    const runner::Container container = open_containers(context).find(name);
    if (!container.config().log.is_kept)
      throw Error(Errc::invalid, "no log is kept of it").with_hint("it was made with --log-driver none");
    runner::read_log(container, request, [](runner::LogStream stream, const std::string& text) {
      std::FILE* to = stream == runner::LogStream::out ? stdout : stderr;
      std::fwrite(text.data(), 1, text.size(), to);
      std::fflush(to);
    });
    return 0;
  });
}

}  // namespace lay::cli
