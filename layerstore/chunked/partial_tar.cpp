#include "chunked/partial_tar.h"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "chunked/chunk_origins.h"
#include "chunked/fetched_runs.h"
#include "chunked/packed_files.h"
#include "layerstore/store_spill.h"

namespace lay::layerstore {

namespace {

constexpr std::size_t kPiece = 64 * 1024;

/// The frames of a local blob's part.
class FramesSource final : public ByteSource {
 public:
  FramesSource(const UniqueFd& blob, const LocalData& frames)
      : blob_(blob), at_(frames.offset), end_(frames.offset + frames.size) {}
  std::size_t read(std::span<std::byte> out) override {
    const auto due = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), end_ - at_));
    const std::size_t count = read_local(blob_, out.first(due), at_);
    at_ += count;
    return count;
  }

 private:
  const UniqueFd& blob_;
  std::uint64_t at_;
  const std::uint64_t end_;
};

void write_zeros(std::uint64_t size, ByteSink& out) {
  static constexpr std::array<std::byte, kPiece> kZeros{};
  for (std::uint64_t left = size; left > 0;) {
    throw_if_cancelled();
    const auto due = static_cast<std::size_t>(std::min<std::uint64_t>(left, kZeros.size()));
    out.write(std::span(kZeros).first(due));
    left -= due;
  }
}

PackedFiles files_of(const ChunkedTail& tail, const Spill& spill) {
  ChunkedTail::Source table = tail.table();
  return {table, tail.offset(), spill};
}

}  // namespace

struct PartialTar::Plan {
  Plan(const Store& store, std::shared_ptr<const ChunkedTail> end, const LocalFrames& local)
      : tail(std::move(end)),
        frames(local),
        files(files_of(*tail, spill_in(store))),
        origins(store, files, frames, spill_in(store)) {}

  const std::shared_ptr<const ChunkedTail> tail;
  const LocalFrames& frames;
  PackedFiles files;
  mutable ChunkOrigins origins;
  RunPlan runs;

  void plan_runs();
  std::optional<BlobPart> gap_before(std::size_t file) const;
};

/// What stands in the blob between the data of two files, in front of the first and behind the last one.
std::optional<BlobPart> PartialTar::Plan::gap_before(std::size_t file) const {
  std::uint64_t begin = 0;
  if (file > 0) {
    const PackedFile& before = files.file(file - 1);
    begin = files.chunk(before.first + before.count - 1).end();
  }
  const std::uint64_t end =
      file == files.size() ? tail->offset() : files.chunk(files.file(file).first).offset;
  if (begin == end) return std::nullopt;
  return BlobPart{.offset = begin, .size = end - begin};
}

/// Without a tar-split the headers are in the blob alone.
void PartialTar::Plan::plan_runs() {
  const auto add_gap = [&](std::size_t file) {
    if (tail->has_split()) return;
    if (const auto gap = gap_before(file)) runs.add(*gap);
  };
  for (std::size_t i = 0; i < files.size(); ++i) {
    add_gap(i);
    const PackedFile file = files.file(i);
    for (std::size_t j = file.first; j < file.first + file.count; ++j)
      if (origins.of(j).kind == ChunkOrigin::Kind::fetched)
        runs.add({.offset = files.chunk(j).offset, .size = files.chunk(j).packed_size});
  }
  add_gap(files.size());
}

namespace {

/// Writes the data of chunks, one after the other.
class ChunkWriter {
 public:
  ChunkWriter(FetchedRuns& fetched, const LocalFrames& frames, LocalFiles& local, ByteSink& out)
      : fetched_(fetched), frames_(frames), local_(local), out_(out), buffer_(kInMemory) {}

  void write(const PackedChunk& chunk, const ChunkOrigin& origin) {
    switch (origin.kind) {
      case ChunkOrigin::Kind::fetched:
        return fetched_.unpack({.offset = chunk.offset, .size = chunk.packed_size}, chunk.size, out_);
      case ChunkOrigin::Kind::zeros:
        return write_zeros(chunk.size, out_);
      case ChunkOrigin::Kind::frame:
        return write_frame(chunk, origin.frame);
      case ChunkOrigin::Kind::file:
        return write_file(chunk, origin);
    }
  }

 private:
  void write_frame(const PackedChunk& chunk, const LocalData& frame) {
    FramesSource source(frames_.blob(frame.blob), frame);
    if (frame.size > buffer_.size() || chunk.size > kInMemory) return unpack_frames(source, chunk.size, out_);
    std::size_t have = 0;
    while (have < frame.size) {
      const std::size_t count = source.read(std::span(buffer_).subspan(have));
      if (count == 0) throw Error(Errc::corrupt, "a blob of the store has shrunk");
      have += count;
    }
    out_.write(pieces_.unpack(std::span(buffer_).first(have), static_cast<std::size_t>(chunk.size)));
  }

  void write_file(const PackedChunk& chunk, const ChunkOrigin& origin) {
    for (std::uint64_t done = 0; done < chunk.size;) {
      std::span<std::byte> room = out_.room(std::span(buffer_).first(kPiece));
      room = room.first(static_cast<std::size_t>(std::min<std::uint64_t>(room.size(), chunk.size - done)));
      const std::size_t count = local_.read(origin.file, room, origin.position + done);
      if (count == 0) throw Error(Errc::corrupt, "a file of a layer of the store has shrunk");
      out_.write(room.first(count));
      done += count;
    }
  }

  FetchedRuns& fetched_;
  const LocalFrames& frames_;
  LocalFiles& local_;
  ByteSink& out_;
  std::vector<std::byte> buffer_;
  ZstdPieces pieces_;
};

}  // namespace

PartialTar::PartialTar(std::unique_ptr<Plan> plan) : plan_(std::move(plan)) {}
PartialTar::PartialTar(PartialTar&&) noexcept = default;
PartialTar::~PartialTar() = default;

std::uint64_t PartialTar::fetched() const {
  return plan_->tail->size() + plan_->runs.size();
}

std::optional<PartialTar> PartialTar::plan(const Store& store, const Descriptor& blob,
                                           std::shared_ptr<const ChunkedTail> tail, const LocalFrames& frames,
                                           const std::string& like) {
  auto plan = std::make_unique<Plan>(store, std::move(tail), frames);
  const std::uint64_t most = blob.size / 4 * 3;
  if (!plan->origins.find(like, most, blob.size)) return std::nullopt;
  plan->plan_runs();
  PartialTar result(std::move(plan));
  return result.fetched() > most ? std::nullopt : std::optional(std::move(result));
}

void PartialTar::write(PartSource& source, ByteSink& out) const {
  FetchedRuns fetched(source, plan_->runs.runs());
  ChunkWriter writer(fetched, plan_->frames, plan_->origins.local(), out);
  const PackedFiles& files = plan_->files;
  std::size_t next = 0;
  const auto write_file = [&] {
    throw_if_cancelled();
    const PackedFile file = files.file(next++);
    for (std::size_t i = file.first; i < file.first + file.count; ++i)
      writer.write(files.chunk(i), plan_->origins.of(i));
  };
  if (plan_->tail->has_split()) {
    bool is_over = false;
    ChunkedTail::Source split = plan_->tail->split();
    read_tar_split(split, [&](std::string_view framing) {
      if (is_over) throw Error(Errc::invalid, "the tar-split has more files than the table of contents");
      out.write(std::as_bytes(std::span(framing)));
      is_over = next == files.size();
      if (!is_over) write_file();
    });
    if (!is_over) throw Error(Errc::invalid, "the tar-split has fewer files than the table of contents");
    return;
  }
  for (std::size_t i = 0; i <= files.size(); ++i) {
    if (const auto gap = plan_->gap_before(i)) fetched.unpack(*gap, std::nullopt, out);
    if (i < files.size()) write_file();
  }
}

}  // namespace lay::layerstore
