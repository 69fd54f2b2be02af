#include "partial_blob.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "codec_zstd.h"
#include "zstd_library.h"

namespace lay::layerstore {

namespace {

constexpr std::uint64_t kBridge = 2 * 1024;  // what is here but not worth a request of its own around it
constexpr std::size_t kSampledFrames = 64;
constexpr std::size_t kMaxSampled = 1024 * 1024;  // bytes of one of these

/// A stretch of the blob and where its bytes come from.
struct Stretch {
  enum class Kind { fetch, local, made } kind = Kind::fetch;
  std::uint64_t size = 0;
  std::size_t blob = 0;    ///< local: which,
  std::uint64_t from = 0;  ///< and where in it; made: where in the bytes that were made
};

std::string compress(ZstdFrames& frames, std::string_view bytes) {
  std::string out(zstd().compress_bound(bytes.size()), '\0');
  out.resize(frames.compress(std::as_bytes(std::span(bytes)), std::as_writable_bytes(std::span(out))));
  return out;
}

/// Compresses what stands between the files' data as chunked_writer.cpp does, with the level at which the
/// first pieces become frames as long as the gaps they stand in. Another compressor's gaps stay without.
class MadeFrames {
 public:
  explicit MadeFrames(const std::vector<std::uint64_t>& gaps) : gaps_(gaps) {}

  void add(std::string_view piece) {
    ++count_;
    if (!is_decided_) {
      waiting_.emplace_back(piece);
      if (waiting_.size() == kSampledFrames) decide();
    } else {
      make(piece);
    }
  }
  void finish() {
    if (!is_decided_) decide();
    if (count_ != gaps_.size()) places_.assign(gaps_.size(), std::nullopt);
  }
  /// Where in bytes() the frame of a gap begins; empty when it has to be fetched.
  std::optional<std::size_t> place(std::size_t gap) const { return places_.at(gap); }
  std::string take_bytes() { return std::move(bytes_); }

 private:
  void decide() {
    is_decided_ = true;
    for (int level = 0; level <= 19 && !frames_; ++level)
      if (is_level(level)) frames_.emplace(level);
    for (const std::string& piece : std::exchange(waiting_, {})) make(piece);
  }
  bool is_level(int level) const {
    ZstdFrames frames(level);
    std::size_t fitting = 0;
    for (std::size_t i = 0; i < waiting_.size() && i < gaps_.size(); ++i)
      fitting +=
          waiting_[i].size() <= kMaxSampled && compress(frames, waiting_[i]).size() == gaps_[i] ? 1U : 0U;
    return fitting > 0 && fitting * 10 >= waiting_.size() * 9;
  }
  void make(std::string_view piece) {
    const std::size_t gap = places_.size();
    places_.emplace_back();
    if (!frames_ || gap >= gaps_.size()) return;
    const std::string frame = compress(*frames_, piece);
    if (frame.size() != gaps_[gap]) return;
    places_.back() = bytes_.size();
    bytes_ += frame;
  }

  const std::vector<std::uint64_t>& gaps_;
  std::optional<ZstdFrames> frames_;
  bool is_decided_ = false;
  std::vector<std::string> waiting_;
  std::size_t count_ = 0;
  std::vector<std::optional<std::size_t>> places_;
  std::string bytes_;
};

/// The sizes of the stretches between the files' data. Chunks of one file have nothing between them.
std::vector<std::uint64_t> gaps_of(std::span<const PackedData> table, std::uint64_t end) {
  std::vector<std::uint64_t> gaps;
  std::uint64_t at = 0;
  for (const PackedData& data : table) {
    if (data.offset > at || at == 0) gaps.push_back(data.offset - at);
    at = data.offset + data.size;
  }
  gaps.push_back(end - at);
  return gaps;
}

void append(std::vector<Stretch>& stretches, const Stretch& next) {
  if (next.size == 0) return;
  if (!stretches.empty() && next.kind == Stretch::Kind::fetch &&
      stretches.back().kind == Stretch::Kind::fetch)
    stretches.back().size += next.size;
  else
    stretches.push_back(next);
}

/// Fetches small stretches that lie between two fetched ones along with those: a request costs more.
std::vector<Stretch> bridged(const std::vector<Stretch>& stretches) {
  std::vector<Stretch> result;
  for (std::size_t i = 0; i < stretches.size();) {
    std::uint64_t size = 0;
    std::size_t end = i;
    while (end < stretches.size() && stretches[end].kind != Stretch::Kind::fetch && size <= kBridge)
      size += stretches[end++].size;
    const bool is_bridge = end > i && size <= kBridge && end < stretches.size() && !result.empty() &&
                           result.back().kind == Stretch::Kind::fetch;
    if (is_bridge) {
      result.back().size += size;
      i = end;
    } else {
      append(result, stretches[i++]);
    }
  }
  return result;
}

/// How much of a stretch at `at` lies before `offset`.
std::uint64_t skipped(std::uint64_t offset, std::uint64_t at, std::uint64_t size) {
  return offset > at ? std::min(offset - at, size) : 0;
}

}  // namespace

struct PartialBlob::Plan {
  Plan(PartSource& from, const LocalFrames& frames, std::shared_ptr<const ChunkedTail> end)
      : source(from), local(frames), tail(std::move(end)) {}

  PartSource& source;
  const LocalFrames& local;
  std::shared_ptr<const ChunkedTail> tail;
  std::vector<Stretch> stretches;  ///< up to the tail
  std::string made;                ///< frames of headers
  std::uint64_t fetched = 0;

  std::vector<BlobPart> parts_from(std::uint64_t offset) const;
  void write_stretch(const Stretch& stretch, std::uint64_t at, std::uint64_t skip, ByteSink& out) const;
  void write_local(const Stretch& stretch, std::uint64_t skip, ByteSink& out) const;
};

/// What has to be fetched of the blob from `offset` on.
std::vector<BlobPart> PartialBlob::Plan::parts_from(std::uint64_t offset) const {
  std::vector<BlobPart> parts;
  std::uint64_t at = 0;
  for (const Stretch& stretch : stretches) {
    const std::uint64_t skip = skipped(offset, at, stretch.size);
    if (stretch.kind == Stretch::Kind::fetch && skip < stretch.size)
      parts.push_back({.offset = at + skip, .size = stretch.size - skip});
    at += stretch.size;
  }
  return parts;
}

void PartialBlob::Plan::write_stretch(const Stretch& stretch, std::uint64_t at, std::uint64_t skip,
                                      ByteSink& out) const {
  if (stretch.kind == Stretch::Kind::fetch)
    return source.fetch({.offset = at + skip, .size = stretch.size - skip}, out);
  if (stretch.kind == Stretch::Kind::local) return write_local(stretch, skip, out);
  const auto bytes = std::as_bytes(std::span(made));
  out.write(bytes.subspan(static_cast<std::size_t>(stretch.from + skip),
                          static_cast<std::size_t>(stretch.size - skip)));
}

void PartialBlob::Plan::write_local(const Stretch& stretch, std::uint64_t skip, ByteSink& out) const {
  std::array<std::byte, 64 * 1024> buffer;
  for (std::uint64_t done = skip; done < stretch.size;) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), stretch.size - done));
    const std::size_t count =
        read_local(local.blob(stretch.blob), std::span(buffer).first(wanted), stretch.from + done);
    if (count == 0) throw Error(Errc::corrupt, "a blob of the store has shrunk");
    out.write(std::span(buffer).first(count));
    done += count;
  }
}

namespace {

std::vector<Stretch> plan_stretches(std::span<const PackedData> table, const std::vector<std::uint64_t>& gaps,
                                    const MadeFrames& made, const LocalFrames& local) {
  using Kind = Stretch::Kind;
  std::vector<Stretch> stretches;
  std::size_t gap = 0;
  const auto add_gap = [&] {
    const auto place = made.place(gap);
    append(stretches,
           {.kind = place ? Kind::made : Kind::fetch, .size = gaps[gap], .from = place.value_or(0)});
    ++gap;
  };
  std::uint64_t at = 0;
  for (const PackedData& data : table) {
    if (data.offset > at || at == 0) add_gap();
    Stretch stretch{.size = data.size};
    const LocalData* const found = local.find(data.key);
    if (found != nullptr && found->size == data.size)
      stretch = {.kind = Kind::local, .size = data.size, .blob = found->blob, .from = found->offset};
    append(stretches, stretch);
    at = data.offset + data.size;
  }
  add_gap();
  return bridged(stretches);
}

}  // namespace

PartialBlob::PartialBlob(std::shared_ptr<const ChunkedTail> tail, std::span<const PackedData> table,
                         const LocalFrames& frames, PartSource& source)
    : plan_(std::make_unique<Plan>(source, frames, std::move(tail))) {
  const std::vector<std::uint64_t> gaps = gaps_of(table, plan_->tail->offset());
  MadeFrames made(gaps);
  if (plan_->tail->has_split())
    read_tar_split(plan_->tail->split(), [&](std::string_view piece) { made.add(piece); });
  made.finish();
  plan_->stretches = plan_stretches(table, gaps, made, frames);
  plan_->made = made.take_bytes();
  plan_->fetched = plan_->tail->bytes().size();
  for (const Stretch& stretch : plan_->stretches)
    if (stretch.kind == Stretch::Kind::fetch) plan_->fetched += stretch.size;
}
PartialBlob::PartialBlob(PartialBlob&&) noexcept = default;
PartialBlob::~PartialBlob() = default;

std::uint64_t PartialBlob::fetched() const {
  return plan_->fetched;
}

void PartialBlob::write(std::uint64_t offset, ByteSink& out) const {
  plan_->source.expect(plan_->parts_from(offset));
  std::uint64_t at = 0;
  for (const Stretch& stretch : plan_->stretches) {
    throw_if_cancelled();
    const std::uint64_t skip = skipped(offset, at, stretch.size);
    if (skip < stretch.size) plan_->write_stretch(stretch, at, skip, out);
    at += stretch.size;
  }
  const std::uint64_t skip = offset > at ? offset - at : 0;
  out.write(std::as_bytes(std::span(plan_->tail->bytes())).subspan(static_cast<std::size_t>(skip)));
}

}  // namespace lay::layerstore
