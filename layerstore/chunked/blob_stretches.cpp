#include "chunked/blob_stretches.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "codec/codec_zstd.h"
#include "codec/zstd_library.h"

namespace lay::layerstore {

namespace {

constexpr std::uint64_t kBridge = 2 * 1024;  // what is here but not worth a request of its own around it
constexpr std::size_t kSampledFrames = 64;
constexpr std::size_t kMaxSampled = 1024 * 1024;  // bytes of one of these

std::string compress(ZstdFrames& frames, std::string_view bytes) {
  std::string out(zstd().compress_bound(bytes.size()), '\0');
  out.resize(frames.compress(std::as_bytes(std::span(bytes)), std::as_writable_bytes(std::span(out))));
  return out;
}

/// Goes through what stands between the files' data. Chunks of one file have nothing between them.
class GapWalk {
 public:
  GapWalk(const DataTable& table, std::uint64_t end) : table_(table), end_(end) {}

  /// The size of the next gap, when `take` has heard of the data in front of it; empty behind the last.
  template <class Take>
  std::optional<std::uint64_t> next(Take&& take) {
    for (; next_ < table_.size(); ++next_) {
      const PackedData data = table_.at(next_);
      const bool is_gap = !std::exchange(is_passed_, true) && (data.offset > at_ || at_ == 0);
      if (is_gap) return data.offset - at_;
      is_passed_ = false;
      take(data);
      at_ = data.offset + data.size;
    }
    if (std::exchange(is_over_, true)) return std::nullopt;
    return end_ - at_;
  }

 private:
  const DataTable& table_;
  const std::uint64_t end_;
  std::uint64_t at_ = 0;
  std::size_t next_ = 0;
  bool is_passed_ = false;  ///< the gap in front of the next data
  bool is_over_ = false;
};

/// Compresses what stands between the files' data as chunked_writer.cpp does, with the level at which the
/// first pieces become frames as long as the gaps they stand in. Another compressor's gaps stay without.
class HeaderFrames {
 public:
  HeaderFrames(const std::vector<std::string>& pieces, const std::vector<std::uint64_t>& gaps) {
    for (int level = 0; level <= 19 && !frames_; ++level)
      if (is_level(level, pieces, gaps)) frames_.emplace(level);
  }

  /// Empty when it does not become one of that size.
  std::optional<std::string> make(std::string_view piece, std::uint64_t size) {
    if (!frames_) return std::nullopt;
    std::string frame = compress(*frames_, piece);
    return frame.size() == size ? std::optional(std::move(frame)) : std::nullopt;
  }

 private:
  static bool is_level(int level, const std::vector<std::string>& pieces,
                       const std::vector<std::uint64_t>& gaps) {
    ZstdFrames frames(level);
    std::size_t fitting = 0;
    for (std::size_t i = 0; i < pieces.size() && i < gaps.size(); ++i)
      fitting += pieces[i].size() <= kMaxSampled && compress(frames, pieces[i]).size() == gaps[i] ? 1U : 0U;
    return fitting > 0 && fitting * 10 >= pieces.size() * 9;
  }

  std::optional<ZstdFrames> frames_;
};

}  // namespace

/// Adds stretches to the rows. Fetches small ones that lie between two fetched ones along with those: a
/// request costs more.
class BlobStretches::Joiner {
 public:
  explicit Joiner(Rows& rows) : rows_(rows) {}

  void add(const BlobStretch& next) {
    if (next.size == 0) return;
    if (next.kind == BlobStretch::Kind::fetch) return add_fetched(next);
    between_.push_back(next);
    between_size_ += next.size;
    if (between_size_ > kBridge || !is_fetched_) flush();
  }
  void flush() {
    for (const BlobStretch& stretch : between_) push(stretch);
    between_.clear();
    between_size_ = 0;
  }

 private:
  void add_fetched(const BlobStretch& next) {
    if (!is_fetched_) {
      flush();
      return push(next);
    }
    if (between_size_ > kBridge) flush();
    if (!is_fetched_) return push(next);
    rows_.items[rows_.items.size() - 1].size += between_size_ + next.size;
    between_.clear();
    between_size_ = 0;
  }
  void push(const BlobStretch& stretch) {
    rows_.memory.count_use();
    rows_.items.push_back(stretch);
    is_fetched_ = stretch.kind == BlobStretch::Kind::fetch;
  }

  Rows& rows_;
  std::vector<BlobStretch> between_;  ///< behind a fetched one
  std::uint64_t between_size_ = 0;
  bool is_fetched_ = false;  ///< whether the last row is
};

class BlobStretches::Planner {
 public:
  Planner(Rows& rows, const ChunkedTail& tail, const DataTable& table, const LocalFrames& frames)
      : rows_(rows), tail_(tail), table_(table), local_(frames), joiner_(rows), gaps_(table, tail.offset()) {}

  /// All between the files' data is fetched.
  void plan_without_split() {
    while (const auto gap = next_gap()) joiner_.add({.size = *gap});
    joiner_.flush();
  }

  /// False, with rows of no use, when the tar-split has not just what stands in the gaps.
  bool plan_with_split() {
    std::vector<std::string> first;
    ChunkedTail::Source split = tail_.split();
    read_tar_split(split, [&](std::string_view piece) {
      if (frames_) return add_gap(piece);
      first.emplace_back(piece);
      if (first.size() == kSampledFrames) begin(std::exchange(first, {}));
    });
    if (!frames_) begin(first);
    is_fitting_ = is_fitting_ && !next_gap();
    joiner_.flush();
    return is_fitting_;
  }

 private:
  void begin(const std::vector<std::string>& pieces) {
    GapWalk walk(table_, tail_.offset());
    std::vector<std::uint64_t> sizes;
    while (sizes.size() < pieces.size()) {
      const auto gap = walk.next([](const PackedData&) {});
      if (!gap) break;
      sizes.push_back(*gap);
    }
    frames_.emplace(pieces, sizes);
    for (const std::string& piece : pieces) add_gap(piece);
  }

  std::optional<std::uint64_t> next_gap() {
    return gaps_.next([&](const PackedData& data) {
      const LocalData* const found = local_.find(data.key);
      if (found != nullptr && found->size == data.size)
        joiner_.add({.kind = BlobStretch::Kind::local,
                     .size = data.size,
                     .blob = found->blob,
                     .from = found->offset});
      else
        joiner_.add({.size = data.size});
    });
  }

  void add_gap(std::string_view piece) {
    const auto size = is_fitting_ ? next_gap() : std::nullopt;
    is_fitting_ = size.has_value();
    if (!size) return;
    const auto frame = frames_->make(piece, *size);
    if (frame)
      joiner_.add({.kind = BlobStretch::Kind::made,
                   .size = *size,
                   .made = rows_.memory.keep(std::string_view(*frame))});
    else
      joiner_.add({.size = *size});
  }

  Rows& rows_;
  const ChunkedTail& tail_;
  const DataTable& table_;
  const LocalFrames& local_;
  Joiner joiner_;
  GapWalk gaps_;
  std::optional<HeaderFrames> frames_;
  bool is_fitting_ = true;
};

BlobStretches::BlobStretches(const ChunkedTail& tail, const DataTable& table, const LocalFrames& frames,
                             const Spill& spill)
    : rows_(std::make_unique<Rows>(spill)) {
  if (tail.has_split() && Planner(*rows_, tail, table, frames).plan_with_split()) return;
  rows_ = std::make_unique<Rows>(spill);
  Planner(*rows_, tail, table, frames).plan_without_split();
}
BlobStretches::BlobStretches(BlobStretches&&) noexcept = default;
BlobStretches::~BlobStretches() = default;

}  // namespace lay::layerstore
