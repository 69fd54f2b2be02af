#include "chunked/chunk_origins.h"

#include <algorithm>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"

namespace lay::layerstore {

namespace {

constexpr std::size_t kBuffer = 256 * 1024;
constexpr std::uint64_t kMostRatio = 200;  // of what is hashed to what may be in vain
/// What is asked for tells the registry what is here: content so small that it could be guessed may be missed
/// a few times in each file, and in so many files.
constexpr std::uint64_t kGuessable = 4096;
constexpr unsigned kMostGuesses = 4;
constexpr std::size_t kMostGuessed = 100'000;

std::uint64_t key_of(const LocalFile& file) {
  const std::size_t place =
      file.path.empty() ? std::hash<std::uint64_t>{}(file.offset) : std::hash<std::string_view>{}(file.path);
  return place ^ (std::uint64_t{file.layer} << 48U);
}

/// As that of a Digest.
DigestKey key_of(const Sha256& digest) {
  DigestKey key = 0;
  for (std::size_t i = 0; i < sizeof key; ++i) key = key << 8U | std::to_integer<DigestKey>(digest.at(i));
  return key;
}

}  // namespace

ChunkOrigins::ChunkOrigins(const Store& store, const PackedFiles& files, const LocalFrames& frames,
                           const Spill& spill)
    : files_(files), frames_(frames), memory_(spill), origins_(memory_), local_(store, spill) {}

const ChunkOrigin& ChunkOrigins::of(std::size_t chunk) const {
  memory_.count_use();
  return origins_[chunk];
}

bool ChunkOrigins::find(const std::string& like, std::uint64_t most, std::uint64_t most_in_vain) {
  most_in_vain_ = most_in_vain;
  find_frames();
  for (std::size_t i = 0; i < files_.size(); ++i)
    if (is_missing(files_.file(i))) local_.want(files_.file(i).path, files_.file(i).size);
  local_.look(like);
  if (!may_be_worth_it(most)) return false;
  for (std::size_t i = 0; i < files_.size(); ++i) {
    throw_if_cancelled();
    if (is_missing(files_.file(i))) find_file(files_.file(i));
  }
  return true;
}

void ChunkOrigins::find_frames() {
  for (std::size_t i = 0; i < files_.chunk_count(); ++i) {
    const PackedChunk& chunk = files_.chunk(i);
    ChunkOrigin origin;
    if (chunk.is_zeros) {
      origin.kind = ChunkOrigin::Kind::zeros;
    } else if (const LocalData* const found = frames_.find(key_of(chunk.digest))) {
      origin.kind = ChunkOrigin::Kind::frame;
      origin.frame = *found;
    }
    origins_.push_back(origin);
  }
}

bool ChunkOrigins::is_missing(const PackedFile& file) const {
  for (std::size_t i = file.first; i < file.first + file.count; ++i)
    if (of(i).kind == ChunkOrigin::Kind::fetched) return true;
  return false;
}

bool ChunkOrigins::may_be_worth_it(std::uint64_t most) {
  std::uint64_t missing = 0;
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const PackedFile& file = files_.file(i);
    if (!is_missing(file) || local_.has_candidate(file.path, file.size)) continue;
    for (std::size_t j = file.first; j < file.first + file.count; ++j)
      if (of(j).kind == ChunkOrigin::Kind::fetched) missing += files_.chunk(j).packed_size;
  }
  return missing <= most;
}

void ChunkOrigins::find_file(const PackedFile& file) {
  for (const LocalFile& candidate : local_.candidates(file.path, file.size)) {
    if (in_vain_ > most_in_vain_ || hashed_ / kMostRatio > most_in_vain_) return;
    // One of another size may still have chunks that are alike.
    if (candidate.size != file.size && file.count == 1) continue;
    try {
      if (take_chunks(file, candidate)) return;
    } catch (const Error& error) {  // what cannot be read is of no use here
      if (error.code() == Errc::cancelled) throw;
    }
  }
}

/// Whether nothing is missing any more.
bool ChunkOrigins::take_chunks(const PackedFile& file, const LocalFile& candidate) {
  bool is_whole = true;
  std::uint64_t position = 0;
  for (std::size_t i = file.first; i < file.first + file.count; ++i) {
    const PackedChunk& chunk = files_.chunk(i);
    ChunkOrigin& origin = origins_[i];
    if (origin.kind == ChunkOrigin::Kind::fetched && in_vain_ <= most_in_vain_ &&
        !(chunk.size < kGuessable && is_guessed(candidate)) && is_same(chunk, candidate, position)) {
      origin.kind = ChunkOrigin::Kind::file;
      origin.file = candidate;
      origin.position = position;
    }
    is_whole = is_whole && origin.kind != ChunkOrigin::Kind::fetched;
    position += chunk.size;
  }
  return is_whole;
}

bool ChunkOrigins::is_same(const PackedChunk& chunk, const LocalFile& candidate, std::uint64_t position) {
  if (position > candidate.size || chunk.size > candidate.size - position) return false;
  std::vector<std::byte> buffer(std::min<std::uint64_t>(kBuffer, chunk.size));
  Hasher hasher;
  for (std::uint64_t done = 0; done < chunk.size;) {
    throw_if_cancelled();
    const auto due = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), chunk.size - done));
    const std::size_t count = local_.read(candidate, std::span(buffer).first(due), position + done);
    if (count == 0) return false;
    hasher.update(std::span(buffer).first(count));
    done += count;
  }
  hashed_ += chunk.size;
  const bool is_it = sha256_of(hasher.finish()) == chunk.digest;
  if (!is_it) in_vain_ += chunk.size;
  if (!is_it && chunk.size < kGuessable) ++misses_[key_of(candidate)];
  return is_it;
}

/// Whether its content was missed as often as it may be.
bool ChunkOrigins::is_guessed(const LocalFile& candidate) const {
  if (misses_.size() >= kMostGuessed) return true;
  const auto found = misses_.find(key_of(candidate));
  return found != misses_.end() && found->second >= kMostGuesses;
}

}  // namespace lay::layerstore
