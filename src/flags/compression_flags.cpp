#include "flags/compression_flags.h"

namespace lay::cli {

namespace {

constexpr const char* kChunked = "zstd:chunked";
constexpr const char* kFormatAbout =
    "compress layers that are compressed otherwise: gzip, zstd or zstd:chunked";
constexpr const char* kLevelAbout = "compress all layers at this level (of zstd without a format)";
constexpr const char* kForceAbout = "compress anew what another tool has compressed so";

}  // namespace

void CompressionFlags::add_to(Parser& parser) {
  parser.add_option("--compression-format", format, kFormatAbout)
      .one_of({"gzip", "zstd", kChunked})
      .type_name("FORMAT");
  parser.add_option("--compression-level", level, kLevelAbout).type_name("N");
  parser.add_flag("--force-compression", always, kForceAbout);
}

void CompressionFlags::add_to_copy(Parser& parser) {
  parser.add_option("--dest-compress-format", format, kFormatAbout)
      .one_of({"gzip", "zstd", kChunked})
      .type_name("FORMAT");
  parser.add_option("--dest-compress-level", level, kLevelAbout).type_name("N");
  parser.add_flag("--dest-force-compress-format", always, kForceAbout);
}

layerstore::Image CompressionFlags::applied_to(const layerstore::Store& store, const layerstore::Image& image,
                                               Progress& progress) const {
  if (!are_given()) return image;
  const auto compression = format == "gzip" ? layerstore::Compression::gzip : layerstore::Compression::zstd;
  return layerstore::recompress(store, image,
                                {.options = {.compression = compression, .level = level},
                                 .needs_chunks = format == kChunked,
                                 .always = always || level != 0},
                                progress);
}

}  // namespace lay::cli
