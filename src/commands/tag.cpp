#include "command.h"
#include "flags/options.h"
#include "images/image_lookup.h"
#include "registry/reference.h"

namespace lay::cli {

int command_tag(const Context& context, const Arguments& arguments) {
  std::string source;
  std::vector<std::string> names;
  Parser parser("tag", "IMAGE NAME[:TAG] …", "Gives an image another name. A name that is taken moves.");
  parser.add_option("image", source, "image of this store").required();
  parser.add_option("name", names, "new name").required();
  parser.parse(arguments);
  require_root("tag");
  const layerstore::Store store = open_store_with(context, source);
  const FileLock lock = store.share();  // the image must not be collected between being found and being named
  const FoundImage found = find_image(store, source);
  for (const std::string& name : names)
    store.images().put(registry::local_name(name), found.image.descriptor);
  return 0;
}

}  // namespace lay::cli
