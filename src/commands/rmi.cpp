#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "images/image_lookup.h"
#include "images/image_place.h"
#include "images/image_removal.h"
#include "layerstore/damage.h"
#include "output/messages.h"
#include "registry/remote.h"
#include "registry/server.h"

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

/// Who pulls by digest finds for a while what was pushed here, though its last tag is gone.
void tell_kept_by_registry(const layerstore::Store& store, const std::set<layerstore::Digest>& removed) {
  if (removed.empty()) return;
  std::set<layerstore::Digest> needed = registry::blobs_needed_by_registry(store);
  for (const layerstore::NamedImage& named : store.images().list()) needed.erase(named.manifest.digest);
  if (std::ranges::any_of(removed, [&](const auto& manifest) { return needed.contains(manifest); }))
    print_note(
        "the registry keeps what was pushed for as long as 'lay serve --keep-untagged' says, though no tag "
        "leads to it; while none serves, 'lay prune --registry' frees it");
}

/// The names are gone, whatever becomes of this: what stands in its way concerns other images.
void try_collect(const layerstore::Store& store, const runner::ContainerStore& containers,
                 const std::set<layerstore::Digest>& removed) {
  try {
    tell_kept_by_registry(store, removed);
    if (collect(store, containers, Freeing::later) == layerstore::Collecting::gave_way)
      print_note(std::string(kGaveWay));
  } catch (const Error& error) {
    if (!layerstore::is_damage(error)) throw;
    print_trouble(error);
  }
}

/// False when that is a failure: by force a name that is not there is none.
bool tell_left(const std::vector<std::string>& names, bool force) {
  for (const std::string& name : names)
    if (force)
      print_note(moved_meanwhile(name));
    else
      print_error("rmi: " + moved_meanwhile(name), "'lay images' tells what it leads to now");
  return force || names.empty();
}

int remove_local(const Context& context, const std::vector<std::string>& images, bool force) {
  const auto store = open_existing_store(context);
  const runner::ContainerStore containers = open_containers(context);
  int code = 0;
  std::set<layerstore::Digest> removed;
  for (const std::string& text : images) {
    try {
      if (!store) throw no_image(text, context.root);
      const RemovedNames names = remove_image(*store, containers, text, force ? Force::yes : Force::no);
      for (const layerstore::NamedImage& image : names.removed) {
        fmt::print("Untagged: {}\n", printable(image.name));
        removed.insert(image.manifest.digest);
      }
      if (!tell_left(names.left, force)) code = 1;
    } catch (const Error& error) {
      if (error.code() == Errc::not_found && force) continue;
      print_error("rmi: " + error.message(), error.hint());
      code = 1;
    }
  }
  if (store) try_collect(*store, containers, removed);
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
