#include "layerstore/commit.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <memory>
#include <optional>

#include "base/error.h"
#include "base/mount.h"
#include "base/pipeline.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "bundle/bundle.h"
#include "command.h"
#include "flags/options.h"
#include "images/id_file.h"
#include "images/image_changes.h"
#include "images/image_lookup.h"
#include "images/root_view.h"
#include "images/source_path.h"
#include "layerstore/apply.h"
#include "layerstore/diff.h"
#include "layerstore/ingest.h"
#include "layerstore/store_spill.h"
#include "output/messages.h"
#include "output/progress_display.h"
#include "plan/container_layers.h"
#include "plan/host_config.h"
#include "registry/reference.h"
#include "runner/standstill.h"

namespace lay::cli {

namespace {

using layerstore::media_type::ManifestFormat;

enum class Pausing { if_possible, always, never };

struct CommitOptions {
  std::string source;
  std::string name;
  std::string base;
  std::string id_file;
  std::vector<std::string> changes;
  bool quiet = false;
  bool is_bundle = false;
  bool squash = false;
  bool include_volumes = false;
  ManifestFormat format = ManifestFormat::oci;
  Pausing pausing = Pausing::if_possible;
  ImageFlags image;
};

/// Where the upper of a bundle is made; nothing is collected meanwhile.
struct Scratch {
  explicit Scratch(const layerstore::Store& store)
      : lock(store.share()),
        root(sys::open_dir(sys::cwd(), store.path())),
        ingest(layerstore::Ingest::begin(root)) {}

  FileLock lock;
  UniqueFd root;
  layerstore::Ingest ingest;
};

/// What the words on the command line lead to.
struct Named {
  UniqueFd folder;
  std::unique_ptr<runner::Container> container{};
  std::optional<BundleNotes> notes{};  ///< where the folder is a bundle
};

/// What is to be captured: an upper and the image it was made on.
struct Source {
  UniqueFd upper;
  layerstore::TreeKind kind = layerstore::TreeKind::trusted_upper;  ///< as lay mounts and makes them
  std::optional<layerstore::Image> base;
  std::vector<layerstore::Descriptor> base_layers;  ///< where they had to be made
  std::unique_ptr<runner::Container> container{};
  std::optional<FileLock> kept;     ///< the container's files, which nobody shall remove half-read
  std::optional<FileLock> reading;  ///< of the store: a prune is waited for before anything stands still
  std::unique_ptr<runner::Standstill> standstill;  ///< of the container's processes
  std::unique_ptr<Scratch> scratch;                ///< has the upper, where that is made of a bundle
  std::unique_ptr<RootView> root;                  ///< has it, where it is the whole root
};

ManifestFormat parse_format(const std::string& text) {
  if (text == "oci") return ManifestFormat::oci;
  if (text == "docker") return ManifestFormat::docker;
  throw Error::make(Errc::invalid, "format '{}', expected oci or docker", printable(text))
      .with_hint("archives of images are written by lay save --format");
}

CommitOptions parse_options(const Arguments& arguments) {
  CommitOptions options;
  Parser parser(
      "commit", "[flags] CONTAINER|./UPPER|--bundle DIR NAME[:TAG]",
      "Captures what a container changed, or an overlay upper folder, as a new image. "
      "The same upper gives the same digest everywhere. The image keeps the settings of the one below it; "
      "what 'lay run' was told of them is taken over by --cmd, --entrypoint, --env, --workdir, --user, "
      "--label, --expose, --volume and --stop-signal.");
  parser.add_option("source", options.source, "container, or a folder written with a '/'").required();
  parser.add_option("name", options.name, "name of the new image").required();
  parser.add_option("--base", options.base, "image the upper folder was made on").type_name("IMAGE");
  parser.add_option("--iidfile", options.id_file, "write the image id to this file").type_name("FILE");
  parser.add_flag("--bundle", options.is_bundle, "the source is a folder that 'lay bundle' wrote");
  bool pause = true;
  const Option asked = parser.add_flag("-p,--pause,!--no-pause", pause,
                                       "let a running container stand still meanwhile (default), or not");
  parser.add_flag("-q,--quiet", options.quiet, "no progress");
  std::string format = "oci";
  parser.add_option("-f,--format", format, "oci, or docker: the manifest of Docker's registries (oci)")
      .type_name("FORMAT");
  parser.add_flag("-s,--squash", options.squash, "one layer of the whole root, without those of the image");
  parser.add_flag("--include-volumes", options.include_volumes,
                  "the image declares the volumes of the container; what is in them stays there");
  options.image.add_to(parser);
  parser.add_list("-c,--change", options.changes, "the same as a Containerfile says it", "INSTRUCTION");
  parser.parse(arguments);
  options.format = parse_format(format);
  if (asked.is_given()) options.pausing = pause ? Pausing::always : Pausing::never;
  return options;
}

/// The running machine has no image it was made on, and holds the store itself.
void refuse_own_root(const UniqueFd& folder, const CommitOptions& options) {
  const struct ::stat root = sys::stat_at(sys::cwd(), "/");
  const struct ::stat status = sys::stat_of(folder);
  if (root.st_dev != status.st_dev || root.st_ino != status.st_ino || !options.base.empty()) return;
  throw Error(Errc::invalid, "'/' is this machine's own root, no upper folder")
      .with_hint("an upper of an overlay is meant; a whole root file system goes in with 'lay import'");
}

UniqueFd find_folder(const CommitOptions& options) {
  UniqueFd folder = open_source(options.source, O_RDONLY | O_DIRECTORY);
  refuse_own_root(folder, options);
  if (is_bundle(folder))
    throw Error::make(Errc::invalid, "'{}' is a bundle, no upper folder", printable(options.source))
        .with_hint("lay commit --bundle " + printable(options.source) + " " + printable(options.name));
  return folder;
}

Named find_bundle(const CommitOptions& options) {
  if (!options.base.empty())
    throw Error(Errc::invalid, "--base goes with an upper folder: a bundle knows its image")
        .with_hint("leave out --base");
  Named named{.folder = open_source(options.source, O_RDONLY | O_DIRECTORY)};
  named.notes = read_bundle_notes(named.folder);
  return named;
}

std::unique_ptr<runner::Container> find_container(const Context& context, const CommitOptions& options) {
  if (!options.base.empty())
    throw Error(Errc::invalid, "--base goes with an upper folder: a container knows its image")
        .with_hint("a folder is written with a slash: ./" + printable(options.source));
  return std::make_unique<runner::Container>(open_containers(context).find(options.source));
}

Named find_source(const Context& context, const CommitOptions& options) {
  const bool is_folder = options.source.find('/') != std::string::npos || options.source == ".";
  if (options.is_bundle) return find_bundle(options);
  if (is_folder) return {.folder = find_folder(options)};
  return {.folder = UniqueFd(), .container = find_container(context, options)};
}

/// An upper alone may be the first thing in a store; all else stands on an image of it.
layerstore::Store open_store_for(const Context& context, const CommitOptions& options, const Named& named) {
  if (named.notes) return open_store_with(context, named.notes->image);
  return options.base.empty() ? open_store(context) : open_store_with(context, options.base);
}

Source open_folder(const layerstore::Store& store, const CommitOptions& options, Named named) {
  Source source{.upper = std::move(named.folder), .kind = layerstore::TreeKind::upper};
  if (!options.base.empty()) source.base = find_image(store, options.base).image;
  return source;
}

/// So that no file changes while it is read. Where nothing can stand still, what changes is noticed.
void let_stand_still(runner::Standstill& standstill, Pausing pausing) {
  try {
    standstill.freeze();
  } catch (const Error& error) {
    if (error.code() != Errc::unsupported || pausing == Pausing::always) throw;
  }
}

Source open_container(const layerstore::Store& store, const CommitOptions& options, Named named,
                      Progress& progress) {
  Source source;
  source.container = std::move(named.container);
  const runner::Container& container = *source.container;
  source.kept = container.keep_files();
  source.upper = container.open_upper();
  source.base = image_of(container, store);
  if (options.pausing != Pausing::never) source.standstill = std::make_unique<runner::Standstill>(container);
  source.reading = store.begin_adding();
  if (!options.squash)
    source.base_layers = layerstore::layers_for(store, *source.base, options.format, progress);
  if (source.standstill) let_stand_still(*source.standstill, options.pausing);
  return source;
}

layerstore::Image image_of_bundle(const layerstore::Store& store, const BundleNotes& notes) {
  try {
    const std::uint64_t size = store.blobs().size(notes.manifest).value_or(0);
    return store.load({.media_type = std::string(), .digest = notes.manifest, .size = size});
  } catch (Error& error) {
    if (error.code() == Errc::not_found)
      error.add_context("the image it was made of, " + printable(notes.image))
          .with_hint("get it again: lay pull or lay load, of just that manifest");
    throw;
  }
}

Source open_bundle(const Context& context, const layerstore::Store& store, const Named& named) {
  const BundleNotes& notes = named.notes.value();
  Source source;
  source.scratch = std::make_unique<Scratch>(store);
  source.base = image_of_bundle(store, notes);
  sys::mkdir_at(source.scratch->ingest.dir(), "upper", 0700);
  source.upper = sys::open_dir(source.scratch->ingest.dir(), "upper");
  make_bundle_upper(context, store, *source.base, named.folder, notes, source.upper);
  return source;
}

/// What the upper holds, in the notation that lay itself mounts: whoever made it may have another, or have
/// left a part of it in the lowers.
void translate_upper(Source& source, const layerstore::Store& store, const layerstore::OpenLowers& lowers) {
  source.scratch = std::make_unique<Scratch>(store);
  sys::mkdir_at(source.scratch->ingest.dir(), "upper", 0700);
  UniqueFd upper = sys::open_dir(source.scratch->ingest.dir(), "upper");
  const Spill spill = layerstore::spill_in(store);
  layerstore::DiffStats stats;
  run_pipeline(
      [&](ByteSink& tar) { stats = layerstore::write_diff(source.upper, source.kind, tar, lowers, spill); },
      [&](ByteSource& tar) { layerstore::apply_layer(tar, upper, {.spill = spill}); });
  layerstore::tell_lost_index(stats, print_note);
  source.upper = std::move(upper);
}

/// The root that the upper makes of its image takes the upper's place.
void squash(Source& source, const Context& context, const layerstore::Store& store,
            const layerstore::OpenLowers& lowers) {
  if (source.kind == layerstore::TreeKind::upper && !source.scratch) translate_upper(source, store, lowers);
  const std::string upper = source.container ? source.container->path() + "/upper" : fd_path(source.upper);
  source.root = std::make_unique<RootView>(context, store, *source.base, upper);
  source.upper = source.root->open();
  source.kind = layerstore::TreeKind::plain;
}

layerstore::CommitRequest make_request(const CommitOptions& options,
                                       const layerstore::CompressOptions& compression, const Source& source) {
  layerstore::CommitRequest request;
  request.base = source.base;
  request.base_layers = source.base_layers;
  request.kind = source.kind;
  const layerstore::RunDefaults before = source.base ? source.base->config.run : layerstore::RunDefaults{};
  request.run = with_changes(before, options.changes, options.image);
  if (options.include_volumes)
    for (const std::string& path : volume_paths(source.container->config().spec))
      request.run.volumes.insert(path);
  if (source.root) request.layering = layerstore::Layering::in_place_of;
  request.format = options.format;
  // Not the container's command: the same upper gives the same digest whichever way it is named.
  request.history.created_by = "lay commit";
  request.history.author = options.image.author;
  request.history.comment = options.image.message;
  request.compression = compression;
  request.warn = print_note;
  return request;
}

std::vector<UniqueFd> open_folders(const std::vector<std::string>& paths) {
  std::vector<UniqueFd> folders;
  for (const std::string& path : paths) folders.push_back(sys::open_dir(sys::cwd(), path));
  return folders;
}

}  // namespace

int command_commit(const Context& context, const Arguments& arguments) {
  const CommitOptions options = parse_options(arguments);
  require_root("commit");
  return with_context("commit " + printable(options.source), [&] {
    const std::string name = registry::local_name(options.name);
    const layerstore::CompressOptions compression = options.image.compress_options(options.format);
    layerstore::media_type::layer_type_of(compression.compression, options.format);  // refuses what is none
    Named named = find_source(context, options);
    if (options.include_volumes && !named.container)
      throw Error(Errc::invalid, "--include-volumes goes with a container: a folder has no volumes")
          .with_hint("--volume PATH declares one");
    const layerstore::Store store = open_store_for(context, options, named);  // a wrong argument makes none
    const auto display = options.quiet ? nullptr : make_progress_display();
    Progress& progress = display ? *display : no_progress();
    Source source = named.notes       ? open_bundle(context, store, named)
                    : named.container ? open_container(store, options, std::move(named), progress)
                                      : open_folder(store, options, std::move(named));

    std::optional<ContainerLayers> layers;  // mounted only if the upper points into them
    layerstore::OpenLowers lowers;
    if (source.base)
      lowers = [&] {
        layers.emplace(context, store, *source.base);
        return open_folders(layers->paths());
      };
    if (options.squash && source.base) squash(source, context, store, lowers);
    layerstore::CommitRequest request = make_request(options, compression, source);
    if (!source.root) request.lowers = lowers;
    const layerstore::Image image = layerstore::commit_upper(store, source.upper, name, request, progress);
    if (!options.id_file.empty()) write_id_file(options.id_file, image.id().to_string());
    fmt::print("{}\n", image.id().to_string());
    return 0;
  });
}

}  // namespace lay::cli
