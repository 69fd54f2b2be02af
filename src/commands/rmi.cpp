#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "images/image_lookup.h"
#include "images/image_place.h"
#include "images/image_removal.h"
#include "output/messages.h"
#include "registry/remote.h"

namespace lay::cli {

namespace {

int remove_remote(const std::vector<std::string>& images, const ConnectionFlags& connection, bool force) {
  int code = 0;
  std::optional<registry::Connection> there;
  for (const std::string& text : images) {
    try {
      if (!there) there = connection.connection();
      const registry::Reference reference = remote_reference(text, there->conf);
      const layerstore::Digest digest = registry::remove(reference, *there);
      fmt::print("Deleted: {}/{}@{}\n", reference.domain, reference.repository, digest.to_string());
    } catch (const Error& error) {
      if (error.code() == Errc::not_found && force) continue;
      print_error("rmi: " + error.message(), error.hint());
      code = 1;
    }
  }
  return code;
}

int remove_local(const Context& context, const std::vector<std::string>& images, bool force) {
  const auto store = open_existing_store(context);
  const runner::ContainerStore containers = open_containers(context);
  int code = 0;
  for (const std::string& text : images) {
    try {
      if (!store) throw no_image(text, context.root);
      for (const std::string& name : remove_image(*store, containers, text, force ? Force::yes : Force::no))
        fmt::print("Untagged: {}\n", printable(name));
    } catch (const Error& error) {
      if (error.code() == Errc::not_found && force) continue;
      print_error("rmi: " + error.message(), error.hint());
      code = 1;
    }
  }
  if (store) collect(*store, containers, Freeing::later);
  return code;
}

}  // namespace

int command_rmi(const Context& context, const Arguments& arguments) {
  std::vector<std::string> images;
  bool force = false;
  ConnectionFlags connection;
  Parser parser("rmi", "[flags] IMAGE …",
                "Removes names, and what no other name or container needs. An id with several names "
                "needs -f, and loses them all. docker://IMAGE is deleted in its registry, with all its "
                "tags there.");
  parser.add_option("image", images, "images of this store, or docker://IMAGE").required();
  parser.add_flag(
      "-f,--force", force,
      "even when a container was made from it, or an id has several names; not there is no error");
  connection.add_to(parser);
  parser.parse(arguments);
  if (!connection.creds.empty()) require_one_registry(registries_of(images));
  const auto local = std::stable_partition(images.begin(), images.end(), is_remote);
  const int remote_code = remove_remote({images.begin(), local}, connection, force);
  images.erase(images.begin(), local);
  if (images.empty()) return remote_code;
  require_root("rmi");
  const int local_code = remove_local(context, images, force);
  return remote_code != 0 ? remote_code : local_code;
}

}  // namespace lay::cli
