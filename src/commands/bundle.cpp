#include "bundle/bundle.h"

#include "base/text.h"
#include "bundle/new_folder.h"
#include "command.h"
#include "flags/options.h"
#include "output/messages.h"
#include "output/progress_display.h"

namespace lay::cli {

namespace {

struct BundleOptions {
  std::string image;
  std::string folder;
  RunOptions run;
};

/// Those of `run` that another runtime can follow.
void add_flags(Parser& parser, RunOptions& options) {
  options.environment.add_to(parser);
  options.base_environment.add_to(parser);
  options.notes.add_annotations_to(parser);
  options.surroundings.add_to(parser);
  options.mounts.add_to(parser);
  parser.add_list("--network,--net", options.networks, "none (default) or host", "MODE");
  parser.add_option("-h,--hostname", options.hostname, "host name inside").type_name("NAME");
  parser.add_option("-w,--workdir", options.workdir, "folder the command starts in").type_name("PATH");
  parser.add_option("-u,--user", options.user, "user the command runs as").type_name("USER[:GROUP]");
  parser.add_option("--entrypoint", options.entrypoint, "instead of the image's; empty: none")
      .type_name("COMMAND");
  parser.add_flag("-t,--tty", options.terminal, "give it a terminal");
  options.resources.add_to(parser);
  options.placement.rdt.add_to(parser);
  options.isolation.add_to(parser);
  options.namespaces.add_to(parser);
}

BundleOptions parse_options(const Arguments& arguments) {
  BundleOptions options;
  Parser parser("bundle", "[flags] IMAGE DIR [COMMAND [ARG …]]",
                "Writes an OCI runtime bundle, which runc, crun, runsc and others run. "
                "Flags end at IMAGE; DIR must not be there yet, or be empty. What a "
                "container changes in DIR/rootfs 'lay commit --bundle DIR' captures.");
  parser.leave_h_alone();  // -h is the host name, as in run
  add_flags(parser, options.run);
  const std::vector<std::string> words = parser.parse_prefix(arguments);
  if (words.empty()) throw UsageError{"which image?"};
  if (words.size() < 2) throw UsageError{"which folder shall it be written to?"};
  if (words[1].starts_with('-'))
    throw UsageError{fmt::format("flags come before IMAGE; a folder '{0}' is './{0}'", printable(words[1]))};
  options.image = words[0];
  options.folder = words[1];
  options.run.command.assign(words.begin() + 2, words.end());
  return options;
}

FoundImage obtain_image(const layerstore::Store& store, const std::string& image) {
  if (auto found = try_find_image(store, image)) return std::move(*found);
  return with_context(
      fmt::format("image '{}' is not in {}, and pulling it failed", printable(image), store.path()), [&] {
        print_note("pulling " + printable(image));
        const auto progress = make_progress_display();
        return pull_image(store, image, {}, *progress);
      });
}

}  // namespace

int command_bundle(const Context& context, const Arguments& arguments) {
  const BundleOptions options = parse_options(arguments);
  require_root("bundle");
  return with_context("bundle " + printable(options.image), [&] {
    NewFolder folder(options.folder);
    const layerstore::Store store = open_store_to_pull(context, options.image);
    const FileLock lock = store.share();
    FoundImage found = obtain_image(store, options.image);
    if (found.name.empty()) found.name = options.image;
    const runner::ContainerConfig config = plan_bundle(found.image, options.run);
    write_bundle(context, store, found, config, folder.dir());
    folder.commit();
    return 0;
  });
}

}  // namespace lay::cli
