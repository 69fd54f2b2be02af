#include "chunked/partial_blob.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "chunked/blob_stretches.h"

namespace lay::layerstore {

namespace {

/// How much of a stretch at `at` lies before `offset`.
std::uint64_t skipped(std::uint64_t offset, std::uint64_t at, std::uint64_t size) {
  return offset > at ? std::min(offset - at, size) : 0;
}

}  // namespace

struct PartialBlob::Plan {
  Plan(std::shared_ptr<const ChunkedTail> end, const DataTable& table, const LocalFrames& frames,
       PartSource& from, const Spill& spill)
      : source(from), local(frames), tail(std::move(end)), stretches(*tail, table, frames, spill) {}

  PartSource& source;
  const LocalFrames& local;
  std::shared_ptr<const ChunkedTail> tail;
  BlobStretches stretches;

  std::vector<BlobPart> parts_from(std::uint64_t offset) const;
  void write_stretch(const BlobStretch& stretch, std::uint64_t at, std::uint64_t skip, ByteSink& out) const;
  void write_local(const BlobStretch& stretch, std::uint64_t skip, ByteSink& out) const;
};

/// What has to be fetched of the blob from `offset` on.
std::vector<BlobPart> PartialBlob::Plan::parts_from(std::uint64_t offset) const {
  std::vector<BlobPart> parts;
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < stretches.size(); ++i) {
    const BlobStretch& stretch = stretches.at(i);
    const std::uint64_t skip = skipped(offset, at, stretch.size);
    if (stretch.kind == BlobStretch::Kind::fetch && skip < stretch.size)
      parts.push_back({.offset = at + skip, .size = stretch.size - skip});
    at += stretch.size;
  }
  return parts;
}

void PartialBlob::Plan::write_stretch(const BlobStretch& stretch, std::uint64_t at, std::uint64_t skip,
                                      ByteSink& out) const {
  if (stretch.kind == BlobStretch::Kind::fetch)
    return source.fetch({.offset = at + skip, .size = stretch.size - skip}, out);
  if (stretch.kind == BlobStretch::Kind::local) return write_local(stretch, skip, out);
  out.write(std::as_bytes(std::span(stretch.made)).subspan(static_cast<std::size_t>(skip)));
}

void PartialBlob::Plan::write_local(const BlobStretch& stretch, std::uint64_t skip, ByteSink& out) const {
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

PartialBlob::PartialBlob(std::shared_ptr<const ChunkedTail> tail, const DataTable& table,
                         const LocalFrames& frames, PartSource& source, const Spill& spill)
    : plan_(std::make_unique<Plan>(std::move(tail), table, frames, source, spill)) {}
PartialBlob::PartialBlob(PartialBlob&&) noexcept = default;
PartialBlob::~PartialBlob() = default;

std::uint64_t PartialBlob::fetched() const {
  std::uint64_t fetched = plan_->tail->size();
  for (std::size_t i = 0; i < plan_->stretches.size(); ++i)
    if (plan_->stretches.at(i).kind == BlobStretch::Kind::fetch) fetched += plan_->stretches.at(i).size;
  return fetched;
}

void PartialBlob::write(std::uint64_t offset, ByteSink& out) const {
  plan_->source.expect(plan_->parts_from(offset));
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < plan_->stretches.size(); ++i) {
    throw_if_cancelled();
    const BlobStretch stretch = plan_->stretches.at(i);
    const std::uint64_t skip = skipped(offset, at, stretch.size);
    if (skip < stretch.size) plan_->write_stretch(stretch, at, skip, out);
    at += stretch.size;
  }
  plan_->tail->write(offset > at ? offset - at : 0, out);
}

}  // namespace lay::layerstore
