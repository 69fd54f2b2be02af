#include <fmt/format.h>

#include "base/text.h"
#include "command.h"
#include "each.h"
#include "flags/options.h"
#include "flags/platform_flags.h"
#include "images/image_lookup.h"
#include "images/image_place.h"
#include "output/progress_display.h"
#include "registry/transfer.h"

namespace lay::cli {

namespace {

std::set<std::string> registries_of_all(const std::vector<std::string>& names,
                                        const registry::SharedRegistriesConf& conf) {
  std::set<std::string> domains;
  for (const std::string& name : names) domains.merge(registries_of(remote_references(name, conf)));
  return domains;
}

}  // namespace

int command_pull(const Context& context, const Arguments& arguments) {
  std::vector<std::string> names;
  PlatformFlags platform;
  bool quiet = false;
  bool all_blobs = false;
  ConnectionFlags connection;
  Parser parser("pull", "[flags] IMAGE …", "Gets images from registries.");
  parser.add_option("image", names, "[docker://][HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST]").required();
  platform.add_to(parser);
  parser.add_flag("--all-blobs", all_blobs,
                  "fetch blobs whose layers are here already, made of other blobs, as well");
  parser.add_flag("-q,--quiet", quiet, "no progress");
  connection.add_to(parser);
  parser.parse(arguments);
  require_root("pull");

  const layerstore::Platform wanted = platform.value();
  const registry::Connection connected = with_context("pull", [&] { return connection.connection(); });
  if (connected.credentials) require_one_registry(registries_of_all(names, connected.conf));
  const auto pull = [&](const std::string& name) {
    require_registry_name(name);
    const layerstore::Store store = open_store_to_pull(context, name, connected);
    const auto progress = quiet ? nullptr : make_progress_display();
    const FoundImage found = pull_image(store, name,
                                        {.platform = wanted,
                                         .connection = connected,
                                         .blobs = all_blobs ? registry::Blobs::all : registry::Blobs::needed},
                                        progress ? *progress : no_progress());
    fmt::print("{}\n", found.image.id().to_string());
  };
  return for_each_name("pull", names, pull);
}

}  // namespace lay::cli
