#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "command.h"
#include "each.h"
#include "flags/options.h"
#include "flags/platform_flags.h"
#include "images/image_lookup.h"
#include "images/image_place.h"
#include "output/progress_display.h"
#include "registry/remote.h"
#include "registry/transfer.h"

namespace lay::cli {

namespace {

std::set<std::string> registries_of_all(const std::vector<std::string>& names,
                                        const registry::SharedRegistriesConf& conf) {
  std::set<std::string> domains;
  for (const std::string& name : names) domains.merge(registries_of(remote_references(name, conf)));
  return domains;
}

/// A name for each tag of the repository `text`. What the registry calls a tag may be anything.
std::vector<std::string> tags_of(const std::string& text, const registry::Connection& connection) {
  require_registry_name(text);
  const registry::Reference repository = remote_reference(text, connection.conf);
  const std::string name = without_transport(text);
  if (name.find('@') != std::string::npos || registry::local_name(name) == name)
    throw Error::make(Errc::invalid, "--all-tags takes a repository, and '{}' has a tag", printable(name))
        .with_hint(fmt::format("lay pull --all-tags {}/{}", repository.domain, repository.repository));
  std::vector<std::string> names;
  for (const std::string& tag : registry::list_tags(repository, connection)) {
    if (tag.empty()) continue;  // would be read as "latest"
    registry::Reference tagged = repository;
    tagged.tag = tag;
    names.push_back(registry::to_string(tagged));
  }
  return names;
}

struct TaggedNames {
  std::vector<std::string> names;
  int code = 0;  ///< 1 when a repository could not be asked, or has an odd tag, which was reported then
};

TaggedNames tags_of_all(const std::vector<std::string>& repositories,
                        const registry::Connection& connection) {
  TaggedNames tagged;
  const auto add = [&](const std::string& name) {
    if (registry::parse_reference(name).digest)
      throw Error(Errc::invalid, "the registry lists a tag that has a digest");
    tagged.names.push_back(name);
  };
  int odd = 0;
  const int unknown = for_each_name("pull", repositories, [&](const std::string& repository) {
    odd = std::max(odd, for_each_name("pull", tags_of(repository, connection), add));
  });
  tagged.code = std::max(unknown, odd);
  return tagged;
}

}  // namespace

int command_pull(const Context& context, const Arguments& arguments) {
  std::vector<std::string> names;
  PlatformFlags platform;
  bool quiet = false;
  bool all_blobs = false;
  bool all_tags = false;
  ConnectionFlags connection;
  Parser parser("pull", "[flags] IMAGE …", "Gets images from registries.");
  parser.add_option("image", names, "[docker://][HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST]").required();
  platform.add_to(parser);
  parser.add_flag("-a,--all-tags", all_tags, "IMAGE is a repository: get all that it has");
  parser.add_flag("--all-blobs", all_blobs,
                  "fetch blobs whose layers are here already, made of other blobs, as well");
  parser.add_flag("-q,--quiet", quiet, "no progress");
  connection.add_to(parser);
  parser.parse(arguments);
  require_root("pull");

  const layerstore::Platform wanted = platform.value();
  registry::Connection connected = with_context("pull", [&] { return connection.connection(); });
  if (quiet) connected.on_silence = nullptr;
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
  if (!all_tags) return for_each_name("pull", names, pull);
  const TaggedNames tagged = tags_of_all(names, connected);
  return std::max(tagged.code, for_each_name("pull", tagged.names, pull));
}

}  // namespace lay::cli
