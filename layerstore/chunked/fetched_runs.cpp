#include "chunked/fetched_runs.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/cancel.h"
#include "base/error.h"
#include "base/pipeline.h"

namespace lay::layerstore {

namespace {

constexpr std::uint64_t kBridge = 2 * 1024;
constexpr std::size_t kBlocks = 2;  // of 512 KiB, between who fetches a large part and who unpacks it

}  // namespace

void RunPlan::add(const BlobPart& needed) {
  if (!runs_.empty()) {
    BlobPart& last = runs_.back();
    const std::uint64_t end = needed.offset + needed.size;
    const bool is_near = needed.offset - (last.offset + last.size) <= kBridge;
    if (is_near && end - last.offset <= kInMemory) {
      last.size = end - last.offset;
      return;
    }
  }
  runs_.push_back(needed);
}

std::uint64_t RunPlan::size() const {
  std::uint64_t sum = 0;
  for (const BlobPart& run : runs_) sum += run.size;
  return sum;
}

FetchedRuns::FetchedRuns(PartSource& source, const std::vector<BlobPart>& runs)
    : source_(source), runs_(runs) {
  source_.expect(runs_);
}

void FetchedRuns::unpack(const BlobPart& part, std::optional<std::uint64_t> size, ByteSink& out) {
  const auto is_within = [&](const BlobPart& run) {
    return part.offset >= run.offset && part.size <= run.size &&
           part.offset - run.offset <= run.size - part.size;
  };
  if (!is_within(held_)) {
    while (next_ < runs_.size() && !is_within(runs_[next_])) ++next_;
    if (next_ == runs_.size()) throw Error(Errc::corrupt, "a part of the blob is not the next to be fetched");
    const BlobPart& run = runs_[next_++];
    if (run.size > kInMemory) return unpack_large(run, size, out);
    StringSink sink;
    source_.fetch(run, sink);
    if (sink.text().size() != run.size)
      throw Error(Errc::corrupt, "a part of the blob is not as long as asked for");
    bytes_ = sink.text();
    held_ = run;
  }
  const auto frames = std::string_view(bytes_).substr(static_cast<std::size_t>(part.offset - held_.offset),
                                                      static_cast<std::size_t>(part.size));
  if (size && *size <= kInMemory)
    return out.write(pieces_.unpack(std::as_bytes(std::span(frames)), static_cast<std::size_t>(*size)));
  StringSource stored(frames);
  unpack_frames(stored, size, out);
}

/// Such a run is one part.
void FetchedRuns::unpack_large(const BlobPart& part, std::optional<std::uint64_t> size, ByteSink& out) {
  run_pipeline([&](ByteSink& packed) { source_.fetch(part, packed); },
               [&](ByteSource& packed) { unpack_frames(packed, size, out); }, kBlocks);
}

void unpack_frames(ByteSource& frames, std::optional<std::uint64_t> size, ByteSink& out) {
  const auto plain = make_zstd_decompressor(frames);
  std::vector<std::byte> buffer(64 * 1024);
  std::uint64_t passed = 0;
  for (;;) {
    throw_if_cancelled();
    std::span<std::byte> room = buffer;
    if (size)
      room = room.first(static_cast<std::size_t>(std::min<std::uint64_t>(room.size(), *size - passed + 1)));
    const std::size_t count = plain->read(room);
    if (count == 0) break;
    passed += count;
    if (size && passed > *size) throw Error::make(Errc::corrupt, "zstd data have more than {} bytes", *size);
    out.write(room.first(count));
  }
  if (size && passed != *size)
    throw Error::make(Errc::corrupt, "zstd data have {} bytes, expected {}", passed, *size);
}

}  // namespace lay::layerstore
