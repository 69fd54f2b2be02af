#include "chunked/chunked_writer.h"

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/ordered_jobs.h"
#include "chunked/chunked_toc.h"
#include "codec/codec_zstd.h"
#include "codec/crc64.h"
#include "codec/zstd_library.h"
#include "layerstore/digest.h"
#include "tar/tar_reader.h"

namespace lay::layerstore {

namespace {

constexpr std::size_t kMaxFrame = 1024 * 1024;  // of a file's data, uncompressed
constexpr std::size_t kBatch = 1024 * 1024;     // what one job compresses, about

/// More gain little, and each has batches of small files, which take 4 MB with what is known of the entries.
constexpr unsigned kMaxThreads = 7;
constexpr unsigned kMaxStarted = 8;

/// What all compressors of a layer may take together. One takes 1 MB at the default level, 4 MB at the
/// highest.
constexpr std::size_t kCompressorMemory = std::size_t{20} * 1024 * 1024;

unsigned most_compressors(int level) {
  return static_cast<unsigned>(
      std::max<std::size_t>(kCompressorMemory / ZstdFrames::memory(level, kMaxFrame), 1));
}

using Bytes = std::vector<std::byte>;

/// What is known of a file at its end.
struct WholeFile {
  std::string digest;
  std::uint64_t crc = 0;
};

/// What becomes one frame. Its bytes lie in the batch, in the order of the pieces.
struct Piece {
  enum class Kind { framing, data } kind = Kind::framing;
  std::size_t size = 0;
  std::size_t packed_size = 0;
  std::string digest;             ///< of data alone
  std::optional<WholeFile> file;  ///< that ends with this piece
};

/// An entry that begins in a batch; its data may go on in later ones.
struct Beginning {
  std::size_t piece = 0;  ///< the one its headers are in
  ChunkedEntry entry;
};

/// Consecutive pieces, compressed by one job. Used again for later ones, so that memory is taken from the
/// kernel once.
struct Batch {
  Batch() { raw.reserve(kBatch); }

  void clear() {
    raw.clear();
    pieces.clear();
    beginnings.clear();
  }

  void compress(ZstdFrames& frames) {
    std::size_t bound = 0;
    for (const Piece& piece : pieces) bound += zstd().compress_bound(piece.size);
    if (packed.size() < bound) packed.resize(bound);
    packed_size = 0;
    std::span<const std::byte> rest = raw;
    for (Piece& piece : pieces) {
      const auto bytes = rest.first(piece.size);
      rest = rest.subspan(piece.size);
      piece.packed_size = frames.compress(bytes, std::span(packed).subspan(packed_size));
      packed_size += piece.packed_size;
    }
  }

  Bytes raw;
  std::vector<Piece> pieces;
  std::vector<Beginning> beginnings;
  Bytes packed;
  std::size_t packed_size = 0;
};

/// A compressor for each thread, made when it is needed.
class Compressors {
 public:
  explicit Compressors(int level) : level_(level) {}

  /// To be given back: one that is dropped is lost and nothing else.
  std::unique_ptr<ZstdFrames> take() {
    {
      const std::scoped_lock lock(mutex_);
      if (!free_.empty()) {
        auto frames = std::move(free_.back());
        free_.pop_back();
        return frames;
      }
    }
    return std::make_unique<ZstdFrames>(level_);
  }
  void give_back(std::unique_ptr<ZstdFrames> frames) {
    const std::scoped_lock lock(mutex_);
    free_.push_back(std::move(frames));
  }

 private:
  const int level_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<ZstdFrames>> free_;
};

/// Takes finished batches in order: writes their frames, and tells the table about the entries.
class Collector {
 public:
  Collector(ByteSink& out, const Spill& spill) : out_(out), toc_(std::in_place, spill) {}

  void take(Batch& batch) {
    out_.write(std::span(batch.packed).first(batch.packed_size));
    auto next = batch.beginnings.begin();
    for (std::size_t i = 0; i < batch.pieces.size(); ++i) {
      const Piece& piece = batch.pieces[i];
      for (; next != batch.beginnings.end() && next->piece == i; ++next) begin(std::move(next->entry));
      if (piece.kind == Piece::Kind::data) add_data(piece);
      offset_ += piece.packed_size;
    }
  }

  /// From here on there will be no table.
  void give_up_table() { toc_.reset(); }

  std::map<std::string, std::string> finish(std::span<const std::byte> end) {
    end_entry();
    if (!toc_) return {};
    toc_->add_end(end);
    return toc_->finish(offset_, out_);
  }

 private:
  void begin(ChunkedEntry entry) {
    end_entry();
    current_ = std::move(entry);
  }

  void add_data(const Piece& piece) {
    current_->frames.push_back(
        {.offset = offset_, .packed_size = piece.packed_size, .size = piece.size, .digest = piece.digest});
    if (!piece.file) return;
    current_->digest = piece.file->digest;
    current_->crc = piece.file->crc;
  }

  void end_entry() {
    if (current_ && toc_) toc_->add(*current_);
    current_.reset();
  }

  ByteSink& out_;
  std::optional<ChunkedToc> toc_;
  std::uint64_t offset_ = 0;  ///< in the blob
  std::optional<ChunkedEntry> current_;
};

/// Cuts the tar into pieces, by its entries and by fixed sizes alone, hashes it, and has it compressed.
class Feeder final : public ByteSink {
 public:
  Feeder(int level, unsigned workers, ByteSink& out, const Spill& spill)
      : compressors_(level),
        collector_(out, spill),
        running_(std::min({workers, kMaxThreads, most_compressors(level)})),
        batch_(std::make_unique<Batch>()) {}

  /// Framing, as the reader passes it.
  void write(std::span<const std::byte> bytes) override {
    tar_.update(bytes);
    framing_.insert(framing_.end(), bytes.begin(), bytes.end());
    if (framing_.size() <= kMaxFraming) return;
    is_described_ = false;
    add_framing();
    framing_.clear();
  }

  void begin(TarEntry entry) {
    add_framing();
    data_left_ = entry.size;
    is_split_ = entry.size > kMaxFrame;
    chunk_.reset();
    file_.reset();
    if (entry.size > 0) file_.emplace();
    crc_ = 0;
    batch_->beginnings.push_back(
        {.piece = batch_->pieces.size() - 1,
         .entry = ChunkedEntry{.entry = std::move(entry), .framing = std::exchange(framing_, {})}});
  }

  void add_data(std::span<const std::byte> bytes) {
    crc_ = crc64_iso(crc_, bytes);
    while (!bytes.empty()) {
      Piece& piece = open_piece(Piece::Kind::data, data_left_);
      const std::size_t count = std::min(bytes.size(), kMaxFrame - piece.size);
      hash(piece, bytes.first(count));
      append(piece, bytes.first(count));
      bytes = bytes.subspan(count);
      data_left_ -= count;
      if (piece.size == kMaxFrame || data_left_ == 0) end_data(piece);
    }
  }

  CompressedLayer end() {
    add_framing();
    end_piece();
    start_job();
    while (!running_.is_empty()) collect();
    if (!is_described_) collector_.give_up_table();
    return {.annotations = collector_.finish(framing_), .diff_id = tar_.finish()};
  }

 private:
  /// Longer framing than any entry has, extended headers included: zeros behind the archive.
  static constexpr std::size_t kMaxFraming = 8 * 1024 * 1024;

  /// `expected` bytes will come, as far as that is known.
  Piece& open_piece(Piece::Kind kind, std::uint64_t expected) {
    if (!is_open_ || batch_->pieces.back().kind != kind) {
      const std::size_t held = batch_->raw.size();
      if (held > 0 && held + std::min<std::uint64_t>(expected, kMaxFrame) > kBatch) start_job();
      batch_->pieces.push_back({.kind = kind});
      is_open_ = true;
    }
    return batch_->pieces.back();
  }

  void append(Piece& piece, std::span<const std::byte> bytes) {
    batch_->raw.insert(batch_->raw.end(), bytes.begin(), bytes.end());
    piece.size += bytes.size();
  }

  void add_framing() {
    if (is_open_ && batch_->raw.size() >= kBatch) end_piece();
    append(open_piece(Piece::Kind::framing, framing_.size()), framing_);
  }

  /// The tar, the file and its piece in one go; the only piece of a file has the file's digest.
  void hash(const Piece& piece, std::span<const std::byte> bytes) {
    if (is_split_ && piece.size == 0) chunk_.emplace();
    const std::array<Hasher*, 3> hashers{&tar_, &*file_, chunk_ ? &*chunk_ : nullptr};
    Hasher::update_together(std::span(hashers).first(chunk_ ? 3 : 2), bytes);
  }

  void end_data(Piece& piece) {
    end_piece();
    if (data_left_ == 0) piece.file = WholeFile{.digest = file_->finish().to_string(), .crc = crc_};
    piece.digest = chunk_ ? chunk_->finish().to_string() : piece.file->digest;
    chunk_.reset();
  }

  void end_piece() { is_open_ = false; }

  void start_job() {
    end_piece();
    if (running_.is_full() || started_ == kMaxStarted) collect();
    ++started_;
    std::unique_ptr<Batch> next = spare_ ? std::move(spare_) : std::make_unique<Batch>();
    next->clear();
    running_.start([this, batch = std::exchange(batch_, std::move(next))]() mutable {
      auto frames = compressors_.take();
      batch->compress(*frames);
      compressors_.give_back(std::move(frames));
      return std::move(batch);
    });
  }

  void collect() {
    spare_ = running_.take();
    --started_;
    collector_.take(*spare_);
  }

  Compressors compressors_;  // outlives those who run
  Collector collector_;
  OrderedJobs<std::unique_ptr<Batch>> running_;
  unsigned started_ = 0;          ///< batches that were not collected yet
  std::unique_ptr<Batch> batch_;  ///< being filled
  std::unique_ptr<Batch> spare_;
  bool is_open_ = false;  ///< whether the batch's last piece may grow
  Bytes framing_;         ///< since the last data
  std::uint64_t data_left_ = 0;
  bool is_split_ = false;  ///< whether the file has several pieces
  Hasher tar_;
  std::optional<Hasher> file_;   ///< whose data are being added
  std::optional<Hasher> chunk_;  ///< the piece of it, if it has several
  std::uint64_t crc_ = 0;        ///< of the file
  bool is_described_ = true;
};

}  // namespace

CompressedLayer write_chunked(ByteSource& tar, int level, unsigned workers, ByteSink& out,
                              const Spill& spill) {
  Feeder feeder(level, workers, out, spill);
  TarReader reader(tar, &feeder);
  while (auto entry = reader.next()) {
    throw_if_cancelled();
    feeder.begin(std::move(*entry));
    for (auto piece = reader.read_data(); !piece.empty(); piece = reader.read_data()) feeder.add_data(piece);
  }
  return feeder.end();
}

}  // namespace lay::layerstore
