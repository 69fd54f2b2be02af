#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "chunked/chunked_table.h"
#include "chunked/packed_files.h"
#include "codec/codec_zstd.h"
#include "fuzz_target.h"

namespace {

using namespace lay::layerstore;

constexpr std::uint64_t kBlobSize = 1 << 20;

std::string compressed(std::string_view text) {
  lay::StringSink packed;
  const auto compressor = make_zstd_compressor(1, 0, packed);
  compressor->write(std::as_bytes(std::span(text)));
  compressor->finish();
  return packed.text();
}

/// Data that are given to a plan lie one behind the other, in the blob.
void try_table(std::string_view packed) {
  try {
    std::uint64_t at = 0;
    lay::StringSource source(packed);
    read_chunked_table(source, kBlobSize, [&](const PackedData& data) {
      if (data.offset < at || data.size > kBlobSize || data.offset > kBlobSize - data.size) std::abort();
      at = data.offset + data.size;
    });
  } catch (const lay::Error&) {
  }
}

/// As do chunks, which are all of their file.
void try_files(std::string_view packed) {
  try {
    lay::StringSource source(packed);
    const PackedFiles files(source, kBlobSize, {});
    std::uint64_t at = 0;
    for (std::size_t i = 0; i < files.size(); ++i) {
      std::uint64_t size = 0;
      for (std::size_t j = files.file(i).first; j < files.file(i).first + files.file(i).count; ++j) {
        const PackedChunk& chunk = files.chunk(j);
        if (chunk.offset < at || chunk.packed_size == 0 || chunk.end() > kBlobSize) std::abort();
        at = chunk.end();
        size += chunk.size;
      }
      if (size != files.file(i).size) std::abort();
    }
  } catch (const lay::Error&) {
  }
}

void try_split(std::string_view packed) {
  try {
    lay::StringSource source(packed);
    read_tar_split(source, [](std::string_view) {});
  } catch (const lay::Error&) {
  }
}

void check_places(const std::optional<ChunkedPlaces>& places, std::uint64_t size) {
  if (!places) return;
  if (places->tail() > size || places->table > size || places->table_size > size - places->table)
    std::abort();
  if (places->has_split() && (places->split > size || places->split_size > size - places->split))
    std::abort();
}

void try_footer(std::string_view bytes) {
  const lay::UniqueFd file{::memfd_create("blob", MFD_CLOEXEC)};
  if (file.get() < 0 || ::write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
    return;
  check_places(read_chunked_footer(file, bytes.size()), bytes.size());
}

/// A line for each of the three annotations.
void try_annotations(std::string_view text) {
  Descriptor blob{.media_type = "", .digest = digest_of(""), .size = kBlobSize};
  const std::vector<std::string> lines = lay::split(text, '\n');
  const char* const keys[] = {"manifest-checksum", "manifest-position", "tarsplit-position"};
  for (std::size_t i = 0; i < lines.size() && i < std::size(keys); ++i)
    blob.annotations[std::string("io.github.containers.zstd-chunked.") + keys[i]] = lines[i];
  check_places(find_chunked_places(blob), kBlobSize);
}

}  // namespace

/// The end of a zstd:chunked blob, and what its descriptor says of it.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try_table(text);
  try_table(compressed(text));
  try_files(compressed(text));
  try_split(compressed(text));
  try_footer(text);
  try_annotations(text);
  return 0;
}
