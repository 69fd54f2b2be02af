#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/stream.h"

namespace lay::layerstore {

/// Writes the members of an archive: of root, without times, so that the same members give the same bytes.
class ArchiveWriter {
 public:
  explicit ArchiveWriter(ByteSink& out) : out_(out) {}

  void add_folder(const std::string& name);
  void add_text(const std::string& name, std::string_view text);
  /// Throws corrupt unless `data` gives exactly `size` bytes.
  void add_stream(const std::string& name, std::uint64_t size, ByteSource& data);
  /// The end of the tar; `out` is not finished.
  void finish();

 private:
  void write(std::string_view bytes);
  ByteSink& out_;
};

}  // namespace lay::layerstore
