#include <fmt/format.h>
#include <sys/utsname.h>

#include "base/json.h"
#include "command.h"
#include "flags/options.h"
#include "layerstore/descriptor.h"
#include "output/template.h"

namespace lay::cli {

int command_version(const Context&, const Arguments& arguments) {
  std::string format;
  Parser parser("version", "[flags]", "Shows the version of lay.");
  parser.add_option("-f,--format", format, "json, or a template: '{{.Client.Version}}'").type_name("FORMAT");
  parser.parse(arguments);
  const Json client{{"Version", LAY_VERSION}, {"OsArch", layerstore::to_string(layerstore::host_platform())}};
  const Json all{{"Client", client}};
  if (format.empty())
    fmt::print("lay {}\n", LAY_VERSION);
  else if (format == "json")
    fmt::print("{}\n", dump_json_pretty(all));
  else
    fmt::print("{}\n", fill_template(format, all));
  return 0;
}

}  // namespace lay::cli
