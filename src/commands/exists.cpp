#include "command.h"
#include "flags/options.h"
#include "images/image_lookup.h"

namespace lay::cli {

namespace {

bool has_container(const Context& context, const std::string& name) {
  return open_containers(context).try_find(name).has_value();
}

bool has_image(const Context& context, const std::string& name) {
  const auto store = open_existing_store(context);
  return store && try_find_image(*store, name);
}

}  // namespace

int command_exists(const Context& context, const Arguments& arguments) {
  std::string name;
  std::string type = "all";
  Parser parser(
      "exists", "[flags] CONTAINER|IMAGE",
      "Says nothing: exit code 0 when a container or an image of that name is there, 1 when none is.");
  parser.add_option("name", name, "container or image").required();
  parser.add_option("--type", type, "what may be meant: all, container, image")
      .one_of({"all", "container", "image"})
      .type_name("TYPE");
  parser.parse(arguments);
  const bool is_there =
      (type != "image" && has_container(context, name)) || (type != "container" && has_image(context, name));
  return is_there ? 0 : 1;
}

}  // namespace lay::cli
