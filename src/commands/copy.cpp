#include <fcntl.h>
#include <fmt/format.h>

#include "base/error.h"
#include "base/interruptible_stream.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "command.h"
#include "flags/compression_flags.h"
#include "flags/options.h"
#include "flags/platform_flags.h"
#include "images/id_file.h"
#include "images/image_lookup.h"
#include "images/image_place.h"
#include "images/source_path.h"
#include "layerstore/archive.h"
#include "layerstore/layout.h"
#include "output/messages.h"
#include "output/output_file.h"
#include "output/progress_display.h"
#include "registry/absent.h"
#include "registry/reference.h"
#include "registry/relay.h"

namespace lay::cli {

namespace {

using Kind = ImagePlace::Kind;
using layerstore::Image;
using layerstore::Store;

struct CopyOptions {
  ImagePlace source;
  ImagePlace target;
  std::string platform;  ///< --platform
  registry::Connection source_connection;
  registry::Connection target_connection;
  CompressionFlags compression;
  std::string digest_file;
  bool quiet = false;
  bool all = false;
};

/// --src-X and --dest-X, or both at once without.
struct SideFlags {
  TlsFlag tls;
  std::string creds;
  std::string authfile;
  std::string cert_dir;

  void add_to(Parser& parser, const std::string& side) {
    tls.add_to(parser, "--" + side + "-tls-verify", "as --tls-verify, for one side");
    parser.add_option("--" + side + "-creds", creds).type_name("USER[:PASSWORD]");
    parser.add_option("--" + side + "-authfile", authfile).type_name("FILE");
    parser.add_option("--" + side + "-cert-dir", cert_dir).type_name("DIR");
  }
  registry::Connection over(const ConnectionFlags& both) const {
    ConnectionFlags flags = both;
    if (tls.value() != registry::TlsVerify::usual) flags.tls = tls;
    if (!creds.empty()) flags.creds = creds;
    if (!authfile.empty()) flags.authfile = authfile;
    if (!cert_dir.empty()) flags.cert_dir = cert_dir;
    return flags.connection();
  }
};

/// Throws where one flag contradicts another, or the places.
void check_combination(const CopyOptions& options, bool preserves_digests) {
  if (preserves_digests && options.target.kind != Kind::registry && options.target.kind != Kind::store)
    throw Error(Errc::unsupported,
                "an archive or layout may need another manifest, and with it another digest")
        .with_hint("--preserve-digests goes with docker:// and the store");
  if (options.all && !options.platform.empty())
    throw Error(Errc::invalid, "--all copies every platform, --platform one of them")
        .with_hint("leave one of them out");
  for (const ImagePlace* place : {&options.source, &options.target})
    if (options.all && (place->kind == Kind::store || place->kind == Kind::docker_archive))
      throw Error(Errc::unsupported,
                  "--all copies from and to docker://, oci: and oci-archive: alone, which can hold an index")
          .with_hint("without it, one image is copied, of --platform");
  options.compression.check();
  if (!options.compression.are_given()) return;
  if (options.all || preserves_digests)
    throw Error(Errc::invalid, "layers that are compressed anew have other digests")
        .with_hint("leave --dest-compress-format out, or --all and --preserve-digests");
  if (options.target.kind == Kind::docker_archive)
    throw Error(Errc::unsupported, "a docker-archive has its layers without compression")
        .with_hint("leave --dest-compress-format out, or take oci-archive:FILE");
}

CopyOptions parse_options(const Arguments& arguments) {
  std::string source;
  std::string target;
  CopyOptions options;
  bool preserves_digests = false;
  bool removes_signatures = false;
  ConnectionFlags both;
  SideFlags source_flags;
  SideFlags target_flags;
  Parser parser(
      "copy", "[flags] SOURCE TARGET",
      "Copies an image. SOURCE and TARGET: docker://NAME, oci:FOLDER[:NAME], oci-archive:FILE[:NAME], "
      "docker-archive:FILE[:NAME|:@N], or the NAME of an image in the store.");
  parser.add_option("source", source).required();
  parser.add_option("target", target).required();
  parser.add_option("--platform", options.platform, "instead of this machine's")
      .type_name("OS/ARCH[/VARIANT]");
  parser.add_flag("-a,--all", options.all,
                  "all that the name leads to, of every platform; not with the store and docker-archive:");
  parser.add_option("--digestfile", options.digest_file, "write the manifest's digest to this file")
      .type_name("FILE");
  options.compression.add_to_copy(parser);
  parser.add_flag("--preserve-digests", preserves_digests, "fail where the copy would get another digest");
  parser.add_flag("--remove-signatures", removes_signatures, "for scripts: none is copied in any case");
  parser.add_flag("-q,--quiet", options.quiet, "no progress");
  both.add_to(parser);
  source_flags.add_to(parser, "src");
  target_flags.add_to(parser, "dest");
  parser.parse(arguments);
  options.source = parse_image_place(source);
  options.target = parse_image_place(target);
  if (!options.platform.empty()) layerstore::parse_platform(options.platform);  // throws for what is none
  check_combination(options, preserves_digests);
  options.source_connection = source_flags.over(both);
  options.target_connection = target_flags.over(both);
  options.target_connection.conf = options.source_connection.conf;
  if (options.quiet) options.source_connection.on_silence = options.target_connection.on_silence = nullptr;
  return options;
}

/// What to append for an image of an archive: its names, or its number.
std::string choices(const std::vector<layerstore::ArchivedImage>& images) {
  std::vector<std::string> words;
  for (std::size_t number = 0; number < images.size(); ++number) {
    if (images[number].names.empty()) words.push_back(fmt::format(":@{}", number));
    for (const layerstore::ArchiveName& name : images[number].names)
      words.push_back(":" + printable(name.name.empty() ? name.complete : name.name));
  }
  return join(words, ", ");
}

/// "@N", the number of an image in a docker-archive, from 0 on.
std::optional<std::uint64_t> number_in(const ImagePlace& place) {
  if (place.kind != Kind::docker_archive || !place.name.starts_with('@')) return std::nullopt;
  const auto number = parse_number(std::string_view(place.name).substr(1));
  if (!number)
    throw Error::make(Errc::invalid, "'{}' is no number of an image", printable(place.name))
        .with_hint("append :NAME, or :@N, which counts from 0");
  return number;
}

/// The one image of an archive, or the one that has the name or number.
Image choose(const std::vector<layerstore::ArchivedImage>& images, const ImagePlace& place) {
  const std::string& name = place.name;
  if (name.empty() && images.size() == 1) return images.front().image;
  if (name.empty())
    throw Error::make(Errc::invalid, "{} images are in it, and none was chosen", images.size())
        .with_hint("append one of " + choices(images));
  if (const auto number = number_in(place)) {
    if (*number < images.size()) return images[static_cast<std::size_t>(*number)].image;
    throw Error::make(Errc::not_found, "{} images are in it, none with the number {}", images.size(), *number)
        .with_hint("the first is :@0");
  }
  for (const layerstore::ArchivedImage& archived : images)
    for (const layerstore::ArchiveName& has : archived.names)
      if (has.name == name || has.complete == name) return archived.image;
  throw Error::make(Errc::not_found, "no image '{}' is in it", printable(name))
      .with_hint("append one of " + choices(images));
}

/// Whether the target takes blobs, and not the layers that are made of them.
bool takes_blobs(const ImagePlace& target) {
  return target.kind != Kind::store && target.kind != Kind::docker_archive;
}

/// What an earlier pull has left in its registry: not the one that the credentials and the trust on the
/// command line are for.
void bring_blobs(const Store& store, const Image& image, const CopyOptions& options, Progress& progress) {
  const registry::Connection& given = options.source_connection;
  const registry::Connection connection{.authfile = given.authfile,
                                        .patience = given.patience,
                                        .token_servers = given.token_servers,
                                        .on_silence = given.on_silence};
  registry::AbsentRequest request{.connection = [&](const std::string&) { return connection; }};
  if (!options.quiet) request.tell = print_note;
  registry::fetch_absent_blobs(store, image, request, progress);
}

/// Throws for a place whose words are wrong, and for a source that is not there: then no store is made. Opens
/// no pipe, which whoever writes it would take for the reader.
void check_places(const CopyOptions& options) {
  const auto& [source, target] = std::tie(options.source, options.target);
  if (source.kind == Kind::registry) registry::parse_reference(source.name);
  if (source.kind == Kind::layout) open_source(source.path, O_PATH | O_DIRECTORY);
  if (source.kind == Kind::oci_archive || source.kind == Kind::docker_archive)
    open_source(source.path, O_PATH);
  if (target.kind == Kind::registry) registry::parse_reference(target.name);
  if (target.kind == Kind::store) registry::local_name(target.name);
}

/// Does not wait for a pipe's writer: the stream does.
UniqueFd open_archive(const ImagePlace& source) {
  return sys::open_at(sys::cwd(), source.path, O_RDONLY | O_NONBLOCK);
}

/// Brings the source into the store, without a name: what it adds stays until a name or a collection.
Image take_in(const Store& store, const CopyOptions& options, Progress& progress) {
  const ImagePlace& source = options.source;
  if (source.kind == Kind::store) return find_image(store, source.name).image;
  if (source.kind == Kind::registry)
    return registry::pull(
        store,
        {.reference = registry::parse_reference(source.name),
         .platform = platform_or_default(options.platform),
         .connection = options.source_connection,
         .blobs = takes_blobs(options.target) ? registry::Blobs::all : registry::Blobs::needed,
         .warn = print_note},
        "", progress);
  if (source.kind == Kind::layout)
    return layerstore::read_layout(store, source.path, source.name, platform_or_default(options.platform),
                                   progress);
  const UniqueFd file = open_archive(source);
  InterruptibleSource archive(file);
  std::optional<Image> chosen;
  layerstore::load_archive(
      store, archive, [&](const auto& found) { chosen = choose(found, source); }, progress);
  return *std::move(chosen);
}

void write_archive(const Store& store, const Image& image, const ImagePlace& target, Progress& progress) {
  const auto format =
      target.kind == Kind::oci_archive ? layerstore::ArchiveFormat::oci : layerstore::ArchiveFormat::docker;
  layerstore::ArchivedImage archived{.image = image, .names = {}};
  if (!target.name.empty()) archived.names.push_back({.name = target.name, .complete = ""});
  OutputFile output(target.path);
  layerstore::save_archive(store, std::vector{archived}, format, output.sink(), progress);
  output.commit();
}

void put_out(const Store& store, const Image& image, const CopyOptions& options, Progress& progress) {
  const ImagePlace& target = options.target;
  switch (target.kind) {
    case Kind::store:
      return store.images().put(registry::local_name(target.name), image.descriptor);
    case Kind::registry:
      registry::push(store, image.descriptor,
                     {.reference = registry::parse_reference(target.name),
                      .connection = options.target_connection,
                      .chunk = upload_chunk(),
                      .tell = options.quiet ? std::function<void(const std::string&)>() : print_note},
                     progress);
      return;
    case Kind::layout:
      bring_blobs(store, image, options, progress);
      return layerstore::write_layout(store, image, target.path, target.name);
    case Kind::oci_archive:
      bring_blobs(store, image, options, progress);
      return write_archive(store, image, target, progress);
    case Kind::docker_archive:
      return write_archive(store, image, target, progress);
  }
}

registry::RelayTarget target_of(const CopyOptions& options) {
  return {.reference = registry::parse_reference(options.target.name),
          .connection = options.target_connection,
          .limits = {.chunk = upload_chunk()}};
}

/// With --all, into the store.
layerstore::WholeImage take_in_whole(const Store& store, const CopyOptions& options, Progress& progress) {
  const ImagePlace& source = options.source;
  if (source.kind == Kind::registry)
    return registry::pull_whole(store, registry::parse_reference(source.name), options.source_connection,
                                progress);
  if (source.kind == Kind::layout)
    return layerstore::read_whole_layout(store, source.path, source.name, progress);
  const UniqueFd file = open_archive(source);
  InterruptibleSource archive(file);
  return layerstore::load_whole_archive(store, archive, source.name, progress);
}

void put_out_whole(const Store& store, const layerstore::WholeImage& whole, const CopyOptions& options,
                   Progress& progress) {
  const ImagePlace& target = options.target;
  if (target.kind == Kind::registry) {
    registry::push_whole(store, whole, target_of(options), progress);
  } else if (target.kind == Kind::layout) {
    layerstore::write_whole_layout(store, whole, target.path, target.name);
  } else {
    OutputFile output(target.path);
    layerstore::save_whole_archive(store, whole, target.name, output.sink(), progress);
    output.commit();
  }
}

/// Returns the digest of what was copied.
std::string copy_all(const Store& store, const CopyOptions& options, Progress& progress) {
  if (options.source.kind == Kind::registry && options.target.kind == Kind::registry)
    return registry::relay(store, registry::parse_reference(options.source.name), options.source_connection,
                           target_of(options), progress)
        .manifest.to_string();
  const layerstore::WholeImage whole = take_in_whole(store, options, progress);
  put_out_whole(store, whole, options, progress);
  return whole.root.digest.to_string();
}

std::string copy_one(const Store& store, const CopyOptions& options, Progress& progress) {
  const bool is_relay = options.source.kind == Kind::registry && options.target.kind == Kind::registry;
  if (is_relay && !options.compression.are_given())  // no layer is made, and what the target has not fetched
    return registry::relay_image(store, registry::parse_reference(options.source.name),
                                 platform_or_default(options.platform), options.source_connection,
                                 target_of(options), progress)
        .manifest.to_string();
  const Image image = options.compression.applied_to(store, take_in(store, options, progress), progress);
  put_out(store, image, options, progress);
  return image.descriptor.digest.to_string();
}

std::string copy(const Store& store, const CopyOptions& options) {
  const FileLock adding = store.begin_adding();
  const auto display = options.quiet ? nullptr : make_progress_display();
  Progress& progress = display ? *display : no_progress();
  return options.all ? copy_all(store, options, progress) : copy_one(store, options, progress);
}

/// What has only passed through goes, as with rmi. The copy does not fail because of it.
void collect_passed(const Context& context, const Store& store) {
  try {
    if (collect(store, open_containers(context), Freeing::later) == layerstore::Collecting::gave_way)
      print_note(std::string(kGaveWay));
  } catch (const Error& error) {
    if (error.code() == Errc::cancelled) throw;
    print_note("copy: what passed through the store stays until 'lay prune': " + error.message());
  }
}

}  // namespace

int command_copy(const Context& context, const Arguments& arguments) {
  const CopyOptions options = parse_options(arguments);
  require_root("copy");
  return with_context("copy", [&] {
    check_places(options);
    const bool is_here = options.source.kind == Kind::store;
    const Store store = is_here ? open_store_with(context, options.source.name) : open_store(context);
    const std::string digest = copy(store, options);
    if (!options.digest_file.empty()) write_id_file(options.digest_file, digest);
    fmt::print("{}\n", digest);
    std::fflush(stdout);  // the copy is made, whatever becomes of the collection
    const bool has_added = !is_here || options.compression.are_given();
    if (has_added && options.target.kind != Kind::store) collect_passed(context, store);
    return 0;
  });
}

}  // namespace lay::cli
