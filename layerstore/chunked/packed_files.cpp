#include "chunked/packed_files.h"

#include <string>

#include "base/error.h"
#include "tar/entry_path.h"

namespace lay::layerstore {

namespace {

void require(bool condition, const char* what) {
  if (!condition) throw Error::make(Errc::invalid, "the table of contents: {}", what);
}

std::string cleaned(const std::string& name) {
  try {
    return parse_entry_path(name).full();
  } catch (const Error&) {  // the tar's own reader refuses it later
    return "";
  }
}

unsigned digit(char hex) {
  return static_cast<unsigned>(hex <= '9' ? hex - '0' : hex - 'a' + 10);
}

}  // namespace

Sha256 sha256_of(const Digest& digest) {
  Sha256 bytes{};
  if (digest.hex().size() != 2 * bytes.size())
    throw Error::make(Errc::unsupported, "data with a digest in {}", digest.algorithm_name());
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes.at(i) = static_cast<std::byte>(digit(digest.hex()[2 * i]) * 16 + digit(digest.hex()[2 * i + 1]));
  return bytes;
}

PackedFiles::PackedFiles(ByteSource& packed, std::uint64_t end, const Spill& spill)
    : memory_(spill), files_(memory_), chunks_(memory_), blob_end_(end) {
  read_table_entries(packed, [&](const TableEntry& entry) { add(entry); });
  end_file();
}

const PackedFile& PackedFiles::file(std::size_t index) const {
  memory_.count_use();
  return files_[index];
}

const PackedChunk& PackedFiles::chunk(std::size_t index) const {
  memory_.count_use();
  return chunks_[index];
}

void PackedFiles::add(const TableEntry& entry) {
  memory_.count_use();
  if (entry.type == "chunk") return add_chunk(entry);
  end_file();
  if (entry.type == "reg" && entry.size > 0) begin_file(entry);
}

void PackedFiles::begin_file(const TableEntry& entry) {
  require(entry.offset && entry.end_offset, "a file does not say where its data are");
  require(*entry.offset >= end_ && *entry.end_offset > *entry.offset && *entry.end_offset <= blob_end_,
          "a file's data overlap, or lie beyond the blob");
  files_.push_back(
      {.path = memory_.keep(cleaned(entry.name)), .size = entry.size, .first = chunks_.size(), .count = 0});
  file_end_ = *entry.end_offset;
  data_ = 0;
  is_in_file_ = true;
  add_chunk(entry);
}

void PackedFiles::add_chunk(const TableEntry& entry) {
  require(is_in_file_, "a chunk belongs to no file");
  PackedFile& file = files_[files_.size() - 1];
  require(entry.offset && entry.chunk_offset == data_ && data_ < file.size,
          "chunks do not follow each other");
  const std::uint64_t left = file.size - data_;
  PackedChunk chunk{.offset = *entry.offset,
                    .size = entry.chunk_size == 0 ? left : entry.chunk_size,
                    .is_zeros = entry.is_zeros()};
  require(chunk.size <= left, "a file's chunks are more than the file");
  if (file.count > 0) {
    PackedChunk& before = chunks_[chunks_.size() - 1];
    require(chunk.offset > before.offset, "a file's chunks overlap");
    before.packed_size = chunk.offset - before.offset;
  }
  require(chunk.offset < file_end_, "a chunk lies beyond its file");
  if (!chunk.is_zeros) {
    const auto digest = Digest::try_parse(entry.chunk_digest.empty() ? entry.digest : entry.chunk_digest);
    require(digest.has_value(), "data without a digest");
    chunk.digest = sha256_of(*digest);
  }
  chunks_.push_back(chunk);
  ++file.count;
  data_ += chunk.size;
}

void PackedFiles::end_file() {
  if (!is_in_file_) return;
  require(data_ == files_[files_.size() - 1].size, "a file's chunks are not the whole file");
  PackedChunk& last = chunks_[chunks_.size() - 1];
  last.packed_size = file_end_ - last.offset;
  end_ = file_end_;
  is_in_file_ = false;
}

}  // namespace lay::layerstore
