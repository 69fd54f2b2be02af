#include <fmt/format.h>

#include "base/text.h"
#include "command.h"
#include "image_lookup.h"
#include "image_place.h"
#include "options.h"
#include "output/progress_display.h"
#include "registry/transfer.h"

namespace lay::cli {

int command_pull(const Context& context, const Arguments& arguments) {
  std::string name;
  std::string platform;
  bool quiet = false;
  bool all_blobs = false;
  ConnectionFlags connection;
  Parser parser("pull", "[flags] IMAGE", "Gets an image from a registry.");
  parser.add_option("image", name, "[docker://][HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST]").required();
  parser.add_option("--platform", platform, "instead of this machine's").type_name("OS/ARCH[/VARIANT]");
  parser.add_flag("--all-blobs", all_blobs,
                  "fetch blobs whose layers are here already, made of other blobs, as well");
  parser.add_flag("-q,--quiet", quiet, "no progress");
  connection.add_to(parser);
  parser.parse(arguments);
  require_root("pull");

  return with_context("pull " + printable(name), [&] {
    require_registry_name(name);
    const layerstore::Platform wanted =
        platform.empty() ? layerstore::host_platform() : layerstore::parse_platform(platform);
    const registry::Connection connected = connection.connection();
    const layerstore::Store store = open_store_to_pull(context, name, connected);
    const auto progress = quiet ? nullptr : make_progress_display();
    const FoundImage found = pull_image(store, name,
                                        {.platform = wanted,
                                         .connection = connected,
                                         .blobs = all_blobs ? registry::Blobs::all : registry::Blobs::needed},
                                        progress ? *progress : no_progress());
    fmt::print("{}\n", found.image.id().to_string());
    return 0;
  });
}

}  // namespace lay::cli
