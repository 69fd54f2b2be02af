#include "tar/layer_records.h"

#include <cstring>
#include <string>
#include <string_view>

#include "base/error.h"
#include "tar/entry_path.h"
#include "tar/pax.h"
#include "tar/tar_block.h"
#include "tar/tar_fields.h"
#include "tar/tar_reader.h"
#include "tar/tar_writer.h"

namespace lay::layerstore {

namespace {

/// More than the headers of one entry take: a name, a target and records, or else they are not looked at.
constexpr std::size_t kMostHeaders = 4 * kMaxTarExtension;

class Counted final : public ByteSink {
 public:
  explicit Counted(ByteSink& out) : out_(out) {}
  void write(std::span<const std::byte> bytes) override {
    out_.write(bytes);
    count_ += bytes.size();
  }
  void write_text(std::string_view text) { write(std::as_bytes(std::span(text))); }
  std::uint64_t count() const { return count_; }

 private:
  ByteSink& out_;
  std::uint64_t count_ = 0;
};

/// `headers` begin at a block's border and are known to be good; the entry's own ends them.
std::string rewritten(std::string_view headers) {
  std::string result;
  while (headers.size() >= kTarBlock) {
    TarBlock block;
    std::memcpy(&block, headers.data(), sizeof block);
    const bool is_extension = std::string_view("xgLK").find(block.type) != std::string_view::npos;
    if (!is_extension) break;
    const auto size = static_cast<std::size_t>(parse_tar_number(block.size, "size"));
    const std::size_t whole = kTarBlock + size + tar_padding(size);
    const auto changed = block.type == 'x' ? as_layer_records(headers.substr(kTarBlock, size)) : std::nullopt;
    if (!changed) {
      result += headers.substr(0, whole);
    } else if (!changed->empty()) {
      result += write_pax_header(*changed);
    }
    headers.remove_prefix(whole);
  }
  return result.append(headers);
}

/// Holds back what stands between two entries' data.
class Headers final : public ByteSink {
 public:
  explicit Headers(Counted& out) : out_(out) {}

  void write(std::span<const std::byte> bytes) override {
    held_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (held_.size() <= kMostHeaders) return;
    is_whole_ = false;
    release();
  }
  /// Passes on what was held, all headers of the entry that was read last.
  void pass() {
    const std::string_view held = held_;
    const std::size_t padding = held.size() % kTarBlock;  // of the entry before
    if (is_whole_ && may_differ_in_layer(held)) {
      out_.write_text(held.substr(0, padding));
      out_.write_text(rewritten(held.substr(padding)));
      held_.clear();
    }
    release();
    is_whole_ = true;
  }
  void release() {
    out_.write_text(held_);
    held_.clear();
  }

 private:
  Counted& out_;
  std::string held_;
  bool is_whole_ = true;
};

}  // namespace

std::uint64_t copy_as_layer(ByteSource& in, ByteSink& out) {
  Counted counted(out);
  Headers headers(counted);
  TarReader tar(in, &headers);
  while (const auto entry = tar.next()) {
    with_context(fmt::format("entry '{}'", shown_path(entry->path)), [&] { headers.pass(); });
    for (auto piece = tar.read_data(); !piece.empty(); piece = tar.read_data()) counted.write(piece);
  }
  headers.release();
  return counted.count();
}

}  // namespace lay::layerstore
