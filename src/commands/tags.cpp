#include <fmt/format.h>

#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "images/image_place.h"
#include "registry/remote.h"

namespace lay::cli {

int command_tags(const Context&, const Arguments& arguments) {
  std::string name;
  ConnectionFlags connection;
  Parser parser("tags", "[flags] REPOSITORY", "Lists the tags of a repository in a registry.");
  parser.add_option("repository", name, "[HOST[:PORT]/]REPOSITORY").required();
  connection.add_to(parser);
  parser.parse(arguments);
  return with_context("tags " + printable(name), [&] {
    const registry::Connection there = connection.connection();
    for (const std::string& tag : registry::list_tags(remote_reference(name, there.conf), there))
      fmt::print("{}\n", printable(tag));
    return 0;
  });
}

}  // namespace lay::cli
