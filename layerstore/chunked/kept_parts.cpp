#include "chunked/kept_parts.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"

namespace lay::layerstore {

namespace {

constexpr std::size_t kMaxList = std::size_t{4} * 1024 * 1024;  // of 170,000 parts

/// One part, as it stands in the list; of this machine alone.
struct Record {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t at = 0;
};

/// Appends what passes to a file.
class AppendingSink final : public ByteSink {
 public:
  AppendingSink(ByteSink& next, const UniqueFd& file) : next_(next), file_(file) {}
  void write(std::span<const std::byte> bytes) override {
    if (file_) with_context("keep a part of a blob", [&] { sys::write_all(file_, bytes); });
    size_ += bytes.size();
    next_.write(bytes);
  }
  std::uint64_t size() const { return size_; }

 private:
  ByteSink& next_;
  const UniqueFd& file_;
  std::uint64_t size_ = 0;
};

UniqueFd open_kept(const UniqueFd& dir, const char* name) {
  UniqueFd file = sys::open_at(dir, name, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, 0600);
  if (!S_ISREG(sys::stat_of(file).st_mode))
    throw Error(Errc::corrupt, "the part of a blob is no regular file");
  return file;
}

}  // namespace

KeptParts::KeptParts(PartSource& source, std::optional<Ingest> kept)
    : source_(source), kept_(std::move(kept)) {
  if (!kept_) return;
  data_ = open_kept(kept_->dir(), "blob");
  list_ = open_kept(kept_->dir(), "list");
  size_ = static_cast<std::uint64_t>(sys::stat_of(data_).st_size);
  read_list();
}

void KeptParts::read_list() {
  const auto size = static_cast<std::uint64_t>(sys::stat_of(list_).st_size);
  std::string text(size > kMaxList ? 0 : static_cast<std::size_t>(size), '\0');
  sys::pread_full(list_, std::as_writable_bytes(std::span(text)), 0);  // cut meanwhile: no record has zeros
  for (std::size_t at = 0; at + sizeof(Record) <= text.size(); at += sizeof(Record)) {
    Record record;
    std::memcpy(&record, text.data() + at, sizeof record);
    if (record.size > 0 && record.at <= size_ && record.size <= size_ - record.at &&
        record.offset + record.size > record.offset)
      places_.insert_or_assign(record.offset, Place{.size = record.size, .at = record.at});
  }
}

std::uint64_t KeptParts::take_up() {
  places_.clear();
  if (list_) read_list();
  std::uint64_t sum = 0;
  for (const auto& [offset, place] : places_) sum += place.size;
  return sum;
}

void KeptParts::note(std::uint64_t offset, const Place& place) {
  if (!list_ || place.size == 0) return;
  const Record record{.offset = offset, .size = place.size, .at = place.at};
  sys::write_all(list_, std::as_bytes(std::span(&record, 1)));
  size_ += place.size;
}

std::vector<KeptParts::Piece> KeptParts::cut(const BlobPart& part) const {
  std::vector<Piece> pieces;
  const std::uint64_t end = part.offset + part.size;
  for (std::uint64_t offset = part.offset; offset < end;) {
    const auto after = places_.upper_bound(offset);
    std::uint64_t until = after == places_.end() ? end : std::min(end, after->first);
    std::optional<std::uint64_t> at;
    if (after != places_.begin()) {
      const auto& [start, place] = *std::prev(after);
      if (offset - start < place.size) {
        at = place.at + (offset - start);
        until = std::min(until, start + place.size);
      }
    }
    pieces.push_back({.part = {.offset = offset, .size = until - offset}, .at = at});
    offset = until;
  }
  return pieces;
}

void KeptParts::expect(std::vector<BlobPart> parts) {
  std::vector<BlobPart> missing;
  for (const BlobPart& part : parts)
    for (const Piece& piece : cut(part))
      if (!piece.at) missing.push_back(piece.part);
  source_.expect(std::move(missing));
}

void KeptParts::fetch(const BlobPart& part, ByteSink& out) {
  for (const Piece& piece : cut(part)) {
    if (piece.at)
      copy_kept(piece, out);
    else
      fetch_missing(piece.part, out);
  }
}

void KeptParts::fetch_missing(const BlobPart& part, ByteSink& out) {
  AppendingSink sink(out, data_);
  const auto note_what_came = [&] {
    fetched_ += sink.size();
    note(part.offset, {.size = std::min(sink.size(), part.size), .at = size_});
  };
  try {
    source_.fetch(part, sink);
  } catch (const Error&) {
    note_what_came();
    throw;
  }
  note_what_came();
}

void KeptParts::copy_kept(const Piece& piece, ByteSink& out) const {
  std::array<std::byte, 64 * 1024> buffer;
  for (std::uint64_t done = 0; done < piece.part.size;) {
    const auto due = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), piece.part.size - done));
    const std::size_t count = sys::pread_some(data_, std::span(buffer).first(due), *piece.at + done);
    if (count == 0) throw Error(Errc::corrupt, "the kept part of a blob has shrunk");
    out.write(std::span(buffer).first(count));
    done += count;
  }
}

void KeptParts::keep() {
  if (kept_ && size_ >= kWorthKeeping) kept_->keep();
}

}  // namespace lay::layerstore
