#include "layerstore/blob_store.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/folder_names.h"
#include "base/syscalls.h"
#include "layers/layer_stream.h"
#include "store/store_file.h"

namespace lay::layerstore {

namespace {

constexpr const char* kPart = "blob";  // its name while it is under ingest/

constexpr off_t kWorthKeeping = 64 * 1024;  // bytes of a part; less is fetched again as fast

constexpr const char* kParts = "parts.";  // begins the names of folders that hold parts of a blob
constexpr const char* kTurn = "turn.";    // of folders that hold nothing

/// What is kept of a blob is kept for.
std::string name_of(const Descriptor& blob) {
  return blob.digest.algorithm_name() + "." + blob.digest.hex();
}

std::string path_of(const Digest& digest) {
  return digest.algorithm_name() + "/" + digest.hex();
}

/// 0 when there is none.
std::uint64_t part_size(const UniqueFd& root, const std::string& name) {
  const auto folder = Ingest::find_kept(root, name);
  const auto info = folder ? sys::try_stat_at(*folder, kPart) : std::nullopt;
  return info && S_ISREG(info->st_mode) ? static_cast<std::uint64_t>(info->st_size) : 0;
}

Error damaged(const Digest& digest, const std::string& got) {
  return Error::make(Errc::corrupt, "blob 'blobs/{}' is damaged: got {}, expected {}", path_of(digest), got,
                     digest.to_string())
      .with_hint("pull the image again, which mends it");
}

}  // namespace

BlobWriter::BlobWriter(const UniqueFd& blobs, Ingest ingest, DigestAlgorithm algorithm, Durability durability)
    : blobs_(blobs),
      ingest_(std::move(ingest)),
      file_(sys::open_at(ingest_.dir(), kPart, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600)),
      hasher_(algorithm),
      durability_(durability) {
  if (durability == Durability::synced) writeback_ = std::make_unique<EarlyWriteback>(file_);
}

BlobWriter::BlobWriter(const UniqueFd& blobs, Ingest ingest, const Descriptor& blob)
    : blobs_(blobs),
      ingest_(std::move(ingest)),
      file_(
          sys::open_at(ingest_.dir(), kPart, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, 0600)),
      hasher_(blob.digest.algorithm()),
      durability_(Durability::synced) {
  const auto found = sys::stat_of(file_);
  if (!S_ISREG(found.st_mode)) throw Error::make(Errc::corrupt, "the part of a blob is no regular file");
  kept_ = static_cast<std::uint64_t>(found.st_size);
  if (kept_ > blob.size) {
    sys::ftruncate(file_, 0);
    kept_ = 0;
  }
  writeback_ = std::make_unique<EarlyWriteback>(file_);
}

void BlobWriter::write(std::span<const std::byte> bytes) {
  hasher_.update(bytes);
  const std::uint64_t there = kept_ > size_ ? std::min<std::uint64_t>(kept_ - size_, bytes.size()) : 0;
  const auto fresh = bytes.subspan(static_cast<std::size_t>(there));
  with_context("write a blob", [&] { sys::write_all(file_, fresh); });
  size_ += bytes.size();
  if (writeback_) writeback_->grown_to(size_);
}

void BlobWriter::keep() {
  if (sys::stat_of(file_).st_size >= kWorthKeeping) ingest_.keep();
}

const Digest& BlobWriter::digest() {
  if (!digest_) digest_ = hasher_.finish();
  return *digest_;
}

UniqueFd BlobWriter::open_written() const {
  return sys::open_at(ingest_.dir(), kPart, O_RDONLY | O_NOFOLLOW);
}

void BlobWriter::verify(const Descriptor& expected) {
  if (size_ != expected.size)
    throw Error::make(Errc::corrupt, "blob {}: got {} bytes, expected {}", expected.digest.to_string(), size_,
                      expected.size);
  if (digest() != expected.digest)
    throw Error::make(Errc::corrupt, "blob: got {}, expected {}", digest().to_string(),
                      expected.digest.to_string());
}

Digest BlobWriter::commit(const Descriptor& expected) {
  verify(expected);
  return commit();
}

Digest BlobWriter::commit() {
  const Digest result = digest();
  sys::fchmod(file_, 0400);
  writeback_.reset();
  if (durability_ == Durability::synced) with_context("write a blob", [&] { sys::fsync(file_); });

  const std::string folder = result.algorithm_name();
  if (sys::try_mkdir_at(blobs_, folder, 0700)) sys::fsync(blobs_);
  const UniqueFd target = sys::open_dir(blobs_, folder);
  if (!sys::try_rename_noreplace(ingest_.dir(), kPart, target, result.hex())) {
    // What is there may be damaged, and these bytes are right and on disk: they take its place. Unsynced ones
    // must not, since another image may rely on the durable copy.
    const auto there = sys::stat_at(target, result.hex());
    const bool whole = S_ISREG(there.st_mode) && std::cmp_equal(there.st_size, size_);
    if (durability_ == Durability::synced || !whole)
      sys::rename_at(ingest_.dir(), kPart, target, result.hex());
  }
  if (durability_ == Durability::synced) sys::fsync(target);
  return result;
}

BlobStore::BlobStore(const UniqueFd& root) : root_(root), blobs_(sys::open_dir(root, "blobs")) {}

bool BlobStore::has(const Digest& digest) const {
  return size(digest).has_value();
}

std::optional<std::uint64_t> BlobStore::size(const Digest& digest) const {
  const auto info = sys::try_stat_at(blobs_, path_of(digest));
  if (!info || !S_ISREG(info->st_mode)) return std::nullopt;
  return static_cast<std::uint64_t>(info->st_size);
}

bool BlobStore::is_whole(const Descriptor& expected) const {
  if (size(expected.digest) != expected.size) return false;
  const UniqueFd file = open(expected.digest);
  FdSource source(file);
  HashingSource hashed(source, expected.digest.algorithm());
  drain(hashed);
  return hashed.size() == expected.size && hashed.digest() == expected.digest;
}

UniqueFd BlobStore::open(const Digest& digest) const {
  auto fd = with_context("blob", [&] { return try_open_regular(blobs_, path_of(digest)); });
  if (!fd)
    throw Error::make(Errc::not_found, "blob {} is not in the store", digest.to_string())
        .with_hint("pull the image again");
  return std::move(*fd);
}

std::string BlobStore::read(const Digest& digest) const {
  const UniqueFd fd = open(digest);
  std::string text = with_context(fmt::format("blob {}", digest.to_string()),
                                  [&] { return sys::read_all(fd, kMaxJsonBytes); });
  if (const Digest got = digest_of(text, digest.algorithm()); got != digest)
    throw damaged(digest, got.to_string());
  return text;
}

BlobWriter BlobStore::resume(const Descriptor& blob) const {
  if (auto ingest = Ingest::resume(root_, name_of(blob))) return BlobWriter(blobs_, std::move(*ingest), blob);
  return begin(blob.digest.algorithm());
}

std::uint64_t BlobStore::kept(const Descriptor& blob) const {
  return part_size(root_, name_of(blob));
}

std::optional<Ingest> BlobStore::try_take_turn(const Descriptor& blob) const {
  return Ingest::resume(root_, kTurn + name_of(blob));
}

std::uint64_t BlobStore::come_so_far(const Descriptor& blob) const {
  return part_size(root_, name_of(blob)) + part_size(root_, kParts + name_of(blob));
}

std::optional<Ingest> BlobStore::resume_parts(const Descriptor& blob) const {
  return Ingest::resume(root_, kParts + name_of(blob));
}

void BlobStore::drop_parts(const Descriptor& blob) const {
  if (Ingest::find_kept(root_, kParts + name_of(blob))) resume_parts(blob);  // which removes it at its end
}

BlobWriter BlobStore::begin(DigestAlgorithm algorithm, Durability durability) const {
  return BlobWriter(blobs_, Ingest::begin(root_), algorithm, durability);
}

Descriptor BlobStore::put(std::string_view bytes, std::string_view media_type) const {
  BlobWriter writer = begin();
  writer.write(std::as_bytes(std::span(bytes)));
  return {.media_type = std::string(media_type), .digest = writer.commit(), .size = bytes.size()};
}

void BlobStore::adopt(const UniqueFd& file, const Digest& digest) const {
  sys::fchmod(file, 0400);
  with_context("write a blob", [&] { sys::fsync(file); });
  const std::string folder = digest.algorithm_name();
  if (sys::try_mkdir_at(blobs_, folder, 0700)) sys::fsync(blobs_);
  const UniqueFd target = sys::open_dir(blobs_, folder);
  if (!sys::try_link_fd(file, target, digest.hex())) {  // what is there may be damaged
    const Ingest ingest = Ingest::begin(root_);
    sys::try_link_fd(file, ingest.dir(), kPart);
    sys::rename_at(ingest.dir(), kPart, target, digest.hex());
  }
  sys::fsync(target);
}

std::vector<Digest> BlobStore::list() const {
  std::vector<Digest> result;
  for (const char* algorithm : {"sha256", "sha512"}) {
    const auto folder = sys::try_open_at(blobs_, algorithm, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!folder) continue;
    for (const std::string& name : list_names(*folder))
      if (auto digest = Digest::try_parse(std::string(algorithm) + ":" + name)) result.push_back(*digest);
  }
  return result;
}

void BlobStore::remove(const Digest& digest) const {
  with_context("blob", [&] { sys::try_unlink_at(blobs_, path_of(digest)); });
}

void BlobStore::remove(const Digest& digest, Trash& trash) const {
  with_context("blob", [&] { trash.take(blobs_, path_of(digest)); });
}

}  // namespace lay::layerstore
