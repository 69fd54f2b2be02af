#include <cstdio>

#include "base/error.h"
#include "base/text.h"
#include "command.h"
#include "options.h"
#include "runner/lifecycle.h"

namespace lay::cli {

int command_logs(const Context& context, const Arguments& arguments) {
  std::string name;
  std::string tail = "all";
  bool follow = false;
  runner::LogRequest request;
  Parser parser("logs", "[flags] CONTAINER", "Shows what a container has written to stdout and stderr.");
  parser.add_option("container", name, "name or id").required();
  parser.add_flag("-f,--follow", follow, "go on until the container ends");
  parser.add_flag("-t,--timestamps", request.timestamps, "with the time of each line");
  parser.add_option("-n,--tail", tail, "the last N lines only, or all").type_name("N");
  parser.parse(arguments);

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
