#include "base/error.h"
#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "images/image_lookup.h"
#include "images/root_view.h"
#include "layerstore/diff.h"
#include "layerstore/store_spill.h"
#include "output/output_file.h"

namespace lay::cli {

namespace {

struct Source {
  RootView root;
  std::optional<FileLock> kept;  ///< the container's files, which nobody shall remove half-read
};

/// A container goes before an image of the same name, as with inspect.
Source open_root(const Context& context, const layerstore::Store& store, const std::string& name) {
  if (const auto container = open_containers(context).try_find(name)) {
    FileLock kept = container->keep_files();
    return {.root = RootView(context, store, image_of(*container, store), container->path() + "/upper"),
            .kept = std::move(kept)};
  }
  return {.root = RootView(context, store, find_image(store, name).image, "")};
}

}  // namespace

int command_export(const Context& context, const Arguments& arguments) {
  std::string name;
  std::string output_path;
  Parser parser("export", "[flags] CONTAINER|IMAGE",
                "Writes the whole root file system of a container, running or not, or "
                "of an image as one tar; volumes are left out.");
  parser.add_option("name", name, "container or image").required();
  parser.add_option("-o,--output", output_path, "file to write (default: stdout)").type_name("FILE");
  parser.parse(arguments);
  require_root("export");
  return with_context("export " + printable(name), [&] {
    const layerstore::Store store = open_store_with(context, name);
    const FileLock lock = store.share();
    const Source source = open_root(context, store, name);
    OutputFile output(output_path);
    layerstore::write_diff(source.root.open(), layerstore::TreeKind::live, output.sink(), {},
                           layerstore::spill_in(store));
    output.commit();
    return 0;
  });
}

}  // namespace lay::cli
