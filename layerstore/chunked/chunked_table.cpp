#include "chunked/chunked_table.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/base64.h"
#include "base/error.h"
#include "base/json.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "codec/codec_zstd.h"

namespace lay::layerstore {

namespace {

constexpr std::uint64_t kSkippableHeader = 8;
constexpr std::size_t kMagicSize = 8;

/// What stands in front of the magic at a blob's very end: 64-bit numbers, little-endian.
struct FooterForm {
  std::string_view magic;
  std::size_t numbers;
  bool has_split;
};
constexpr std::array<FooterForm, 2> kFooterForms{{
    {.magic = "GNUlInUx", .numbers = 7, .has_split = true},
    {.magic = "GnUlInUx", .numbers = 4, .has_split = false},  // containers/storage up to 1.43, so Debian 12's
}};
constexpr std::uint64_t kMaxRaw = std::uint64_t{150} * 1024 * 1024;    // as other readers have it
constexpr std::uint64_t kMaxPacked = std::uint64_t{32} * 1024 * 1024;  // of 500,000 files
constexpr std::uint64_t kMaxBetween =
    4 * 1024;  // headers of frames, the footer, and what a later format adds
constexpr std::size_t kMaxLine = 16 * 1024 * 1024;

std::optional<std::vector<std::uint64_t>> parse_numbers(const std::string& text, std::size_t count) {
  std::vector<std::uint64_t> numbers;
  for (const std::string& part : split(text, ':')) {
    const auto number = parse_number(part);
    if (!number) return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers.size() == count ? std::optional(std::move(numbers)) : std::nullopt;
}

/// The documents lie one right after the other before the footer's frame: a reader holds all from the first
/// to the blob's end.
bool is_plausible(const ChunkedPlaces& places, std::uint64_t blob_size) {
  const auto within = [&](std::uint64_t offset, std::uint64_t size) {
    return offset >= kSkippableHeader && size > 0 && size <= kMaxPacked && offset <= blob_size &&
           size <= blob_size - offset;
  };
  if (!within(places.table, places.table_size)) return false;
  std::uint64_t end = places.table + places.table_size;
  if (places.has_split()) {
    if (!within(places.split, places.split_size) || places.split < end || places.split - end > kMaxBetween)
      return false;
    end = places.split + places.split_size;
  }
  return blob_size - end <= kMaxBetween;
}

/// Under today's name or the one of containers/storage before 1.44.
std::string annotation(const Descriptor& blob, const char* key) {
  for (const char* prefix : {"io.github.containers.zstd-chunked.", "io.containers.zstd-chunked."})
    if (const auto found = blob.annotations.find(std::string(prefix) + key); found != blob.annotations.end())
      return found->second;
  return "";
}

/// What a compressed document unpacks to, read in pieces and never more than kMaxRaw bytes of it.
class DocumentSource final : public ByteSource {
 public:
  explicit DocumentSource(ByteSource& packed) : plain_(make_zstd_decompressor(packed)) {}
  std::size_t read(std::span<std::byte> out) override {
    const std::size_t count = plain_->read(out);
    read_ += count;
    if (read_ > kMaxRaw) throw Error::make(Errc::invalid, "a table of more than {} bytes", kMaxRaw);
    return count;
  }

 private:
  std::unique_ptr<ByteSource> plain_;
  std::uint64_t read_ = 0;
};

/// An iterator over a source's bytes, as nlohmann's parser wants it.
class Bytes {
 public:
  using difference_type = std::ptrdiff_t;
  using value_type = char;
  using pointer = const char*;
  using reference = const char&;
  using iterator_category = std::input_iterator_tag;

  Bytes() = default;
  explicit Bytes(ByteSource& source) : state_(std::make_shared<State>(source)) { fill(); }
  reference operator*() const { return state_->buffer[state_->at]; }
  Bytes& operator++() {
    if (++state_->at == state_->size) fill();
    return *this;
  }
  bool operator==(const Bytes& other) const { return is_end() == other.is_end(); }
  bool operator!=(const Bytes& other) const { return !(*this == other); }

 private:
  struct State {
    explicit State(ByteSource& from) : source(from), buffer(64 * 1024) {}
    ByteSource& source;
    std::vector<char> buffer;
    std::size_t at = 0;
    std::size_t size = 0;
  };
  bool is_end() const { return !state_ || state_->size == 0; }
  void fill() {
    state_->size = state_->source.read(std::as_writable_bytes(std::span(state_->buffer)));
    state_->at = 0;
  }
  std::shared_ptr<State> state_;
};

/// Passes on what stands in the table's entries, one after the other: the whole of it as values would take
/// ten times its size.
class TableReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit TableReader(const std::function<void(const TableEntry&)>& take) : take_(take) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t value) override {
    if (depth_ != kEntryDepth) return true;
    if (key_ == "offset") entry_.offset = value;
    if (key_ == "endOffset") entry_.end_offset = value;
    if (key_ == "size") entry_.size = value;
    if (key_ == "chunkOffset") entry_.chunk_offset = value;
    if (key_ == "chunkSize") entry_.chunk_size = value;
    return true;
  }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t& value) override {
    if (depth_ != kEntryDepth) return true;
    if (key_ == "type") entry_.type = value;
    if (key_ == "name") entry_.name = value;
    if (key_ == "digest") entry_.digest = value;
    if (key_ == "chunkDigest") entry_.chunk_digest = value;
    if (key_ == "chunkType") entry_.chunk_type = value;
    return true;
  }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override {
    if (++depth_ > kMaxDepth) return false;
    if (depth_ == kEntryDepth) {
      entry_ = {};
      key_.clear();
    }
    return true;
  }
  bool key(string_t& value) override {
    if (depth_ == kEntryDepth) key_ = value;
    return true;
  }
  bool end_object() override {
    if (depth_-- == kEntryDepth) take_(entry_);
    return true;
  }
  bool start_array(std::size_t) override { return ++depth_ <= kMaxDepth; }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  static constexpr int kEntryDepth = 3;  // {"entries":[{
  static constexpr int kMaxDepth = 16;

  const std::function<void(const TableEntry&)>& take_;
  int depth_ = 0;
  std::string key_;
  TableEntry entry_;
};

/// Passes on from the table's entries only what says where data are.
class PackedTable {
 public:
  PackedTable(std::uint64_t end, const std::function<void(const PackedData&)>& take)
      : end_(end), take_(take) {}

  void add(const TableEntry& entry) {
    if (entry.end_offset) file_end_ = *entry.end_offset;
    const std::string& name = entry.chunk_digest.empty() ? entry.digest : entry.chunk_digest;
    if (!entry.offset || name.empty() || entry.is_zeros()) return;
    const auto digest = Digest::try_parse(name);
    if (!digest) throw Error(Errc::invalid, "the table has a digest that is none");
    const bool is_whole = entry.chunk_digest.empty() && entry.end_offset;
    if (is_whole && *entry.end_offset <= *entry.offset)
      throw Error(Errc::invalid, "the table's data have no end");
    pass_on_last(*entry.offset);
    last_ = {.key = key_of(*digest),
             .offset = *entry.offset,
             .size = is_whole ? *entry.end_offset - *entry.offset : 0};
    last_end_ = file_end_;
  }

  void finish() { pass_on_last(end_); }

 private:
  /// `next`: where the data behind it begin.
  void pass_on_last(std::uint64_t next) {
    if (!last_) return;
    if (last_->size == 0) {  // a chunk: it ends where the next one begins, the last where its file does
      const std::uint64_t file_end = std::min(last_end_, next);
      if (file_end <= last_->offset) throw Error(Errc::invalid, "the table's data have no end");
      last_->size = file_end - last_->offset;
    }
    if (last_->offset > next || last_->size > next - last_->offset)
      throw Error(Errc::invalid, "the table's data overlap or lie beyond it");
    take_(*last_);
  }

  const std::uint64_t end_;
  const std::function<void(const PackedData&)>& take_;
  std::optional<PackedData> last_;
  std::uint64_t last_end_ = 0;  ///< of its file
  std::uint64_t file_end_ = 0;
};

std::uint64_t number_at(std::span<const std::byte> bytes, std::size_t index) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i)
    value |= std::uint64_t{std::to_integer<std::uint8_t>(bytes[index * 8 + i])} << (8 * i);
  return value;
}

}  // namespace

std::uint64_t ChunkedPlaces::tail() const {
  return table - kSkippableHeader;
}

std::optional<ChunkedPlaces> find_chunked_places(const Descriptor& blob) {
  const auto digest = Digest::try_parse(annotation(blob, "manifest-checksum"));
  const auto table = parse_numbers(annotation(blob, "manifest-position"), 4);
  if (!digest || !table) return std::nullopt;
  ChunkedPlaces places{.table_digest = *digest, .table = (*table)[0], .table_size = (*table)[1]};
  if (const auto place = parse_numbers(annotation(blob, "tarsplit-position"), 3)) {
    places.split = (*place)[0];
    places.split_size = (*place)[1];
  }
  return is_plausible(places, blob.size) ? std::optional(places) : std::nullopt;
}

std::optional<ChunkedPlaces> read_chunked_footer(const UniqueFd& blob, std::uint64_t size) {
  std::array<std::byte, 64> end{};
  if (size < end.size() || sys::pread_full(blob, end, size - end.size()) != end.size()) return std::nullopt;
  const auto magic = std::span(end).last(kMagicSize);
  for (const FooterForm& form : kFooterForms) {
    if (std::memcmp(magic.data(), form.magic.data(), kMagicSize) != 0) continue;
    const auto footer = std::span(end).last(form.numbers * 8 + kMagicSize);
    ChunkedPlaces places{
        .table_digest = digest_of(""), .table = number_at(footer, 0), .table_size = number_at(footer, 1)};
    if (form.has_split) {
      places.split = number_at(footer, 4);
      places.split_size = number_at(footer, 5);
    }
    return is_plausible(places, size) ? std::optional(places) : std::nullopt;
  }
  return std::nullopt;
}

DigestKey key_of(const Digest& digest) {
  constexpr std::size_t kDigits = 2 * sizeof(DigestKey);
  DigestKey key = 0;
  std::from_chars(digest.hex().data(), digest.hex().data() + kDigits, key, 16);
  return key;
}

void read_table_entries(ByteSource& packed, const std::function<void(const TableEntry&)>& take) {
  DocumentSource document(packed);
  TableReader reader(take);
  if (!nlohmann::json::sax_parse(Bytes(document), Bytes(), &reader))
    throw Error(Errc::invalid, "the table of contents is not JSON");
}

void read_chunked_table(ByteSource& packed, std::uint64_t end,
                        const std::function<void(const PackedData&)>& take) {
  PackedTable table(end, take);
  read_table_entries(packed, [&](const TableEntry& entry) { table.add(entry); });
  table.finish();
}

namespace {

/// 0 where there is none.
std::uint64_t number_in(const Json& line, const char* key) {
  if (!line.is_object()) throw Error(Errc::invalid, "the tar-split has a line that is no object");
  const auto found = line.find(key);
  if (found == line.end()) return 0;
  if (!found->is_number_unsigned())
    throw Error::make(Errc::invalid, "the tar-split has a '{}' that is no number", key);
  return found->get<std::uint64_t>();
}

}  // namespace

void read_tar_split(ByteSource& packed, const TakeFraming& take) {
  DocumentSource document(packed);
  std::string framing;
  std::string line;
  const auto end_line = [&] {
    if (line.empty()) return;
    const Json json = parse_json(line, "tar-split");
    const bool is_segment = number_in(json, "type") == 2;
    if (is_segment && json.contains("payload") && json["payload"].is_string()) {
      const auto bytes = base64_decode(json["payload"].get_ref<const std::string&>());
      if (!bytes) throw Error(Errc::invalid, "the tar-split is not base64");
      framing += *bytes;
    } else if (!is_segment && number_in(json, "size") > 0) {
      take(framing);
      framing.clear();
    }
    line.clear();
  };
  std::vector<std::byte> buffer(64 * 1024);
  for (std::size_t count = document.read(buffer); count > 0; count = document.read(buffer)) {
    std::string_view text{reinterpret_cast<const char*>(buffer.data()), count};
    while (!text.empty()) {
      const std::size_t length = std::min(text.find('\n'), text.size());
      line += text.substr(0, length);
      if (line.size() > kMaxLine) throw Error(Errc::invalid, "the tar-split has a line that is too long");
      if (length == text.size()) break;
      end_line();
      text.remove_prefix(length + 1);
    }
  }
  end_line();
  take(framing);
}

}  // namespace lay::layerstore
