#include "chunked/chunked_toc.h"

#include <fmt/format.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <functional>
#include <queue>
#include <utility>

#include "base/base64.h"
#include "base/json_text.h"
#include "base/text.h"
#include "codec/codec_zstd.h"
#include "layerstore/digest.h"
#include "tar/tar_fields.h"
#include "tar/tar_writer.h"

namespace lay::layerstore {

bool is_of_chunked(std::string_view annotation) {
  return annotation.find("containers.zstd-chunked.") != std::string_view::npos;
}

namespace {

constexpr const char* kTocDigest = "io.github.containers.zstd-chunked.manifest-checksum";
constexpr const char* kTocPosition = "io.github.containers.zstd-chunked.manifest-position";
constexpr const char* kSplitPosition = "io.github.containers.zstd-chunked.tarsplit-position";
// Before 2023 (podman up to 4.4) the same two had other names.
constexpr const char* kOldTocDigest = "io.containers.zstd-chunked.manifest-checksum";
constexpr const char* kOldTocPosition = "io.containers.zstd-chunked.manifest-position";
constexpr std::uint64_t kTocType = 1;                         // "CRFS", the only one there is
constexpr std::uint64_t kMaxDocument = 150ULL * 1024 * 1024;  // readers refuse longer ones
constexpr std::string_view kFooterMagic = "GNUlInUx";
constexpr std::uint32_t kSkippableMagic = 0x184d2a50;
constexpr std::uint64_t kSkippableHeader = 8;
constexpr int kDocumentLevel = 1;

enum SplitType { file = 1, segment = 2 };  // of tar-split's lines

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <class Number>
std::string little_endian(Number value) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof value; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

std::string big_endian(std::uint64_t value) {
  std::string bytes = little_endian(value);
  std::reverse(bytes.begin(), bytes.end());
  return bytes;
}

constexpr std::size_t kHashes = 64 * 1024;  // that are sorted together

void write_skippable_header(std::uint64_t size, ByteSink& out) {
  const std::string header = little_endian(kSkippableMagic) + little_endian(static_cast<std::uint32_t>(size));
  out.write(std::as_bytes(std::span(header)));
}

void write_skippable(const KeptBytes& bytes, ByteSink& out) {
  write_skippable_header(bytes.size(), out);
  bytes.copy_to(out);
}

const char* type_name(EntryType type) {
  switch (type) {
    case EntryType::directory:
      return "dir";
    case EntryType::symlink:
      return "symlink";
    case EntryType::hardlink:
      return "hardlink";
    case EntryType::character:
      return "char";
    case EntryType::block:
      return "block";
    case EntryType::fifo:
      return "fifo";
    case EntryType::regular:
      break;
  }
  return "reg";
}

/// RFC 3339 with the fraction as short as it can be; a tar's times lie between the years 1 and 9999.
std::string time_text(const timespec& time) {
  std::tm parts{};
  ::gmtime_r(&time.tv_sec, &parts);
  std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", parts.tm_year + 1900,
                                 parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
  if (time.tv_nsec != 0) {
    text += fmt::format(".{:09}", time.tv_nsec);
    text.erase(text.find_last_not_of('0') + 1);
  }
  return text + "Z";
}

/// Whether a header that lay did not write holds nothing but what TarEntry keeps, so that every reader sees
/// in it what the table says.
bool says_no_more(const TarEntry& entry, std::string_view headers) {
  constexpr std::size_t kGnuTimes = 345;  // where GNU's variant of the header has atime and ctime
  constexpr std::size_t kGnuTimesEnd = 369;
  for (const char* key : {"atime=", "ctime=", "LIBARCHIVE.", "GNU.sparse", "RHT.", "comment="})
    if (headers.find(key) != std::string_view::npos) return false;
  TarBlock block;
  std::memcpy(&block, headers.data() + headers.size() - kTarBlock, kTarBlock);
  const std::string_view last = headers.substr(headers.size() - kTarBlock);
  if (text_of(std::as_bytes(std::span(block.magic))) == std::string_view("ustar  \0", 8) &&
      last.substr(kGnuTimes, kGnuTimesEnd - kGnuTimes).find_first_not_of('\0') != std::string_view::npos)
    return false;
  return block.type != '7' && parse_tar_number(block.mode, "mode") == static_cast<std::int64_t>(entry.mode) &&
         (entry.size > 0 || parse_tar_number(block.size, "size") == 0);
}

bool is_utf8(const std::string& text) {
  const bool is_ascii = std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
  // printable() escapes what is no UTF-8, and control bytes: those are rare enough to do without a table.
  return is_ascii || printable(text) == text;
}

bool is_describable(const ChunkedEntry& chunked) {
  const TarEntry& entry = chunked.entry;
  const std::string_view framing = text_of(chunked.framing);
  if (entry.regions || framing.size() < kTarBlock || !is_utf8(entry.path) || !is_utf8(entry.link))
    return false;
  for (const Xattr& xattr : entry.xattrs)
    if (!is_utf8(xattr.name)) return false;
  const std::string_view headers = framing.substr(framing.size() % kTarBlock);  // padding stands before them
  return headers == write_tar_header(entry) || says_no_more(entry, headers);
}

/// The path as Go's filepath.Clean() would have it: readers take "./a" and "a/" for one name.
std::string clean_path(const std::string& path) {
  std::string clean;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = std::string_view(path).substr(begin, end - begin);
    if (!part.empty() && part != ".") clean.append(clean.empty() ? "" : "/").append(part);
    begin = end + 1;
  }
  return clean;
}

/// What the table says of a file as a whole: the first chunk has it.
void add_file_members(JsonObjectText& object, const ChunkedEntry& chunked) {
  const TarEntry& entry = chunked.entry;
  object.add("modtime", time_text(entry.mtime));
  if (!entry.link.empty()) object.add("linkName", entry.link);
  if (entry.mode != 0) object.add("mode", entry.mode);
  if (entry.size != 0) object.add("size", entry.size);
  if (entry.uid != 0) object.add("uid", entry.uid);
  if (entry.gid != 0) object.add("gid", entry.gid);
  if (entry.device != 0) {
    object.add("devMajor", gnu_dev_major(entry.device));
    object.add("devMinor", gnu_dev_minor(entry.device));
  }
  if (!entry.xattrs.empty()) {
    JsonObjectText xattrs(object.begin("xattrs"));
    for (const Xattr& xattr : entry.xattrs) xattrs.add(xattr.name, base64_encode(xattr.value));
    xattrs.end();
  }
  if (chunked.frames.empty()) return;
  const DataFrame& last = chunked.frames.back();
  object.add("digest", chunked.digest);
  object.add("endOffset", last.offset + last.packed_size);
}

/// The line of a file, or of one of its chunks: chunk `index` of `chunked`, which begins `at` its data.
void append_line(std::string& line, const ChunkedEntry& chunked, std::size_t index, std::uint64_t at) {
  JsonObjectText object(line);
  object.add("type", index == 0 ? std::string_view(type_name(chunked.entry.type)) : "chunk");
  object.add("name", chunked.entry.path);
  if (index == 0) add_file_members(object, chunked);
  if (!chunked.frames.empty()) object.add("offset", chunked.frames[index].offset);
  if (chunked.frames.size() > 1) {
    if (index > 0) object.add("chunkOffset", at);
    object.add("chunkSize", chunked.frames[index].size);
    object.add("chunkDigest", chunked.frames[index].digest);
  }
  object.end();
}

}  // namespace

void KeptBytes::write(std::span<const std::byte> bytes) {
  memory_.count_use();
  hasher_.update(bytes);
  pieces_.push_back(memory_.keep(bytes));
  size_ += bytes.size();
}

void KeptBytes::copy_to(ByteSink& out) const {
  for (const auto piece : pieces_) {
    out.write(piece);
    memory_.page_out();
  }
}

void SeenHashes::add(std::size_t hash) {
  memory_.count_use();
  if (blocks_.empty() || used_ == kHashes) {
    sort_last();
    const std::size_t bytes = kHashes * sizeof(std::size_t);
    blocks_.emplace_back(static_cast<std::size_t*>(memory_.allocate(bytes, alignof(std::size_t))), kHashes);
    used_ = 0;
  }
  blocks_.back()[used_++] = hash;
}

void SeenHashes::sort_last() {
  if (!blocks_.empty()) std::sort(blocks_.back().begin(), blocks_.back().end());
}

bool SeenHashes::has_repeated() {
  if (blocks_.empty()) return false;
  blocks_.back() = blocks_.back().first(used_);
  sort_last();
  using Head = std::pair<std::size_t, std::size_t>;  // the least of a block, and which block that is
  std::priority_queue<Head, std::vector<Head>, std::greater<>> heads;
  for (std::size_t i = 0; i < blocks_.size(); ++i) heads.emplace(blocks_[i].front(), i);
  std::optional<std::size_t> last;
  while (!heads.empty()) {
    memory_.count_use();
    const auto [hash, index] = heads.top();
    heads.pop();
    if (last == hash) return true;
    last = hash;
    auto& block = blocks_[index];
    block = block.subspan(1);
    if (!block.empty()) heads.emplace(block.front(), index);
  }
  return false;
}

ChunkedToc::Document::Document(SpillMemory& memory)
    : packed(memory), compressor(make_zstd_compressor(kDocumentLevel, 0, packed)) {}

void ChunkedToc::Document::append(std::string_view text) {
  compressor->write(std::as_bytes(std::span(text)));
  size += text.size();
}

ChunkedToc::ChunkedToc(const Spill& spill) : memory_(spill) {
  documents_.emplace(memory_);
  documents_->table.append(R"({"version":1,"entries":[)");
}

void ChunkedToc::add(const ChunkedEntry& entry) {
  if (!documents_) return;
  if (!is_describable(entry) || documents_->table.size >= kMaxDocument ||
      documents_->split.size >= kMaxDocument)
    return documents_.reset();
  documents_->names.add(std::hash<std::string>{}(clean_path(entry.entry.path)));
  add_segment(entry.framing);
  add_file(entry);
  std::uint64_t at = 0;
  std::size_t index = 0;
  do {
    line_.assign(is_first_ ? "" : ",");
    is_first_ = false;
    append_line(line_, entry, index, at);
    documents_->table.append(line_);
    if (index < entry.frames.size()) at += entry.frames[index].size;
  } while (++index < entry.frames.size());
}

void ChunkedToc::add_segment(std::span<const std::byte> framing) {
  line_.clear();
  JsonObjectText object(line_);
  object.add("type", static_cast<std::uint64_t>(segment));
  object.begin("payload") += '"';
  base64_append(line_, text_of(framing));
  line_ += '"';
  end_split_line(object);
}

void ChunkedToc::add_file(const ChunkedEntry& entry) {
  line_.clear();
  JsonObjectText object(line_);
  object.add("type", static_cast<std::uint64_t>(file));
  object.add("name", entry.entry.path);
  if (entry.entry.size == 0) {
    object.begin("payload") += "null";
  } else {
    object.add("size", entry.entry.size);
    object.add("payload", base64_encode(big_endian(entry.crc)));
  }
  end_split_line(object);
}

void ChunkedToc::end_split_line(JsonObjectText& object) {
  object.add("position", position_++);
  object.end();
  line_ += '\n';
  documents_->split.append(line_);
}

void ChunkedToc::add_end(std::span<const std::byte> framing) {
  const bool is_zero =
      std::all_of(framing.begin(), framing.end(), [](std::byte byte) { return byte == std::byte{0}; });
  if (!is_zero || (documents_ && documents_->split.size >= kMaxDocument)) documents_.reset();
  if (documents_) add_segment(framing);
}

std::map<std::string, std::string> ChunkedToc::finish(std::uint64_t offset, ByteSink& out) {
  if (!documents_) return {};
  auto& [table_document, split_document, names] = *documents_;
  if (names.has_repeated()) return {};
  split_document.compressor->finish();
  KeptBytes& split = split_document.packed;
  table_document.append(fmt::format("],\"tarSplitDigest\":\"{}\"}}", split.digest().to_string()));
  table_document.compressor->finish();
  KeptBytes& table = table_document.packed;

  const std::uint64_t table_offset = offset + kSkippableHeader;
  const std::uint64_t split_offset = table_offset + table.size() + kSkippableHeader;
  std::string footer;
  for (const std::uint64_t value : {table_offset, table.size(), table_document.size, kTocType, split_offset,
                                    split.size(), split_document.size})
    footer += little_endian(value);
  footer += kFooterMagic;
  const std::string digest = table.digest().to_string();
  const std::string position =
      fmt::format("{}:{}:{}:{}", table_offset, table.size(), table_document.size, kTocType);
  write_skippable(table, out);
  write_skippable(split, out);
  write_skippable_header(footer.size(), out);
  out.write(std::as_bytes(std::span(footer)));
  return {{kTocDigest, digest},
          {kTocPosition, position},
          {kSplitPosition, fmt::format("{}:{}:{}", split_offset, split.size(), split_document.size)},
          {kOldTocDigest, digest},
          {kOldTocPosition, position}};
}

}  // namespace lay::layerstore
