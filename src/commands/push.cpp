#include <fmt/format.h>

#include "base/text.h"
#include "command.h"
#include "id_file.h"
#include "image_lookup.h"
#include "image_place.h"
#include "options.h"
#include "output/messages.h"
#include "output/progress_display.h"
#include "registry/transfer.h"

namespace lay::cli {

int command_push(const Context& context, const Arguments& arguments) {
  std::string source;
  std::string target;
  std::string digest_file;
  bool quiet = false;
  ConnectionFlags connection;
  Parser parser("push", "[flags] IMAGE [TARGET]",
                "Sends an image to a registry. Without TARGET the image's own name says where.");
  parser.add_option("image", source, "image of this store").required();
  parser.add_option("target", target, "[docker://][HOST[:PORT]/]REPOSITORY[:TAG]");
  parser.add_option("--digestfile", digest_file, "write the manifest's digest to this file")
      .type_name("FILE");
  parser.add_flag("-q,--quiet", quiet, "no progress");
  connection.add_to(parser);
  parser.parse(arguments);

  return with_context("push " + printable(source), [&] {
    require_registry_name(target);
    registry::PushRequest request{
        .reference = registry::parse_reference(target.empty() ? source : without_transport(target)),
        .connection = connection.connection(),
        .chunk = upload_chunk(),
    };
    if (!quiet) request.tell = print_note;
    const layerstore::Store store = open_store_with(context, source);
    const FoundImage found = find_image(store, source);
    const auto progress = quiet ? nullptr : make_progress_display();
    const registry::PushResult result =
        registry::push(store, found.image.descriptor, request, progress ? *progress : no_progress());
    if (!quiet)
      print_note(fmt::format("pushed {}: {} blobs sent, {} already there",
                             registry::to_string(request.reference), result.blobs_sent, result.blobs_there));
    if (!digest_file.empty()) write_id_file(digest_file, result.manifest.to_string());
    fmt::print("{}\n", result.manifest.to_string());
    return 0;
  });
}

}  // namespace lay::cli
