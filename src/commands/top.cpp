#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "output/process_table.h"

namespace lay::cli {

int command_top(const Context& context, const Arguments& arguments) {
  std::string format;
  Parser parser("top", "[flags] CONTAINER [COLUMN …]",
                "Shows the processes of a running container; COLUMN is podman's (pid hpid user args …)\n"
                "or, as 'ps' has it, -ef, aux or -eo pid,args.");
  parser.add_option("--format", format, "json, jsonl, or a template: '{{.PID}} {{.COMMAND}}'")
      .type_name("FORMAT");
  std::vector<std::string> words = parser.parse_prefix(arguments);
  if (words.empty()) throw UsageError{"which container?"};
  require_root("top");
  const std::string name = words.front();
  words.erase(words.begin());
  return with_context("top " + printable(name), [&] {
    print_processes(runner::list_processes(open_containers(context).find(name)), std::move(words), format);
    return 0;
  });
}

}  // namespace lay::cli
