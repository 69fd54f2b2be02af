#include "flags/compression_flags.h"

#include <fmt/format.h>

namespace lay::cli {

namespace {

constexpr const char* kChunked = "zstd:chunked";
constexpr const char* kFormatAbout =
    "compress layers that are compressed otherwise: gzip, zstd or zstd:chunked";
constexpr const char* kLevelAbout = "compress all layers at this level (of zstd without a format)";
constexpr const char* kForceAbout = "compress anew what another tool has compressed so";

layerstore::Compression compression_of(const std::string& format) {
  return format == "gzip" ? layerstore::Compression::gzip : layerstore::Compression::zstd;
}

}  // namespace

void CompressionFlags::add(Parser& parser, const FlagNames& names) {
  names_ = names;
  parser.add_option(names.format, format, kFormatAbout)
      .one_of({"gzip", "zstd", kChunked})
      .type_name("FORMAT");
  parser.add_option(names.level, level, kLevelAbout).type_name("N");
  parser.add_flag(names.always, always, kForceAbout);
}

void CompressionFlags::add_to(Parser& parser) {
  add(parser,
      {.format = "--compression-format", .level = "--compression-level", .always = "--force-compression"});
}

void CompressionFlags::add_to_copy(Parser& parser) {
  add(parser, {.format = "--dest-compress-format",
               .level = "--dest-compress-level",
               .always = "--dest-force-compress-format"});
}

void CompressionFlags::check() const {
  const int highest = layerstore::highest_level(compression_of(format));
  if (level && (*level < 1 || *level > highest))
    throw UsageError{fmt::format("{} {}: {} has levels from 1 to {}", names_.level, *level,
                                 format.empty() ? "zstd" : format, highest)};
  if (always && !are_given()) throw UsageError{fmt::format("{} goes with {}", names_.always, names_.format)};
}

layerstore::Image CompressionFlags::applied_to(const layerstore::Store& store, const layerstore::Image& image,
                                               Progress& progress) const {
  if (!are_given()) return image;
  return layerstore::recompress(
      store, image,
      {.options = {.compression = compression_of(format), .level = level.value_or(0)},
       .needs_chunks = format == kChunked,
       .always = always || level.has_value()},
      progress);
}

}  // namespace lay::cli
