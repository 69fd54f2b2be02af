#include "server/content/uploads.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <utility>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/folder_names.h"
#include "base/remove_tree.h"
#include "base/syscalls.h"
#include "server/api/refusal.h"
#include "server/api/request_target.h"

namespace lay::registry::server {

namespace {

using layerstore::Digest;
using layerstore::DigestAlgorithm;
using layerstore::Hasher;

constexpr const char* kFolder = "uploads";
constexpr const char* kData = "data";
constexpr const char* kRepository = "repository";  ///< holds its name; where it is, the session is whole
constexpr std::size_t kIdBytes = 16;
constexpr std::size_t kMaxName = 1024;
constexpr std::size_t kReadSize = 256 * 1024;

Refusal unknown_upload() {
  return Refusal(404, error_code::kUploadUnknown, "there is no such upload: it has ended or was never begun");
}

UniqueFd open_folder(const UniqueFd& root) {
  if (sys::try_mkdir_at(root, kFolder, 0700)) sys::fsync(root);
  return sys::open_dir(root, kFolder);
}

/// The file that a session writes to. The repository's name comes last: with it the session is whole.
UniqueFd make_session(const UniqueFd& uploads, const std::string& id, const std::string& repository) {
  const UniqueFd folder = sys::open_dir(uploads, id);
  UniqueFd file = sys::open_at(folder, kData, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW, 0600);
  AtomicFile name(folder, kRepository);
  name.write(repository);
  name.publish();
  return file;
}

Digest hash_file(const UniqueFd& file, DigestAlgorithm algorithm) {
  Hasher hasher(algorithm);
  std::vector<std::byte> buffer(kReadSize);
  std::uint64_t offset = 0;
  while (const std::size_t got = sys::pread_some(file, buffer, offset)) {
    hasher.update(std::span(buffer).first(got));
    offset += got;
  }
  return hasher.finish();
}

/// Whether a session is on disk and nobody has written to it since `limit`.
bool is_older(const UniqueFd& folder, const std::string& id, std::chrono::system_clock::time_point limit) {
  auto status = sys::try_stat_at(folder, id + "/" + kData);
  if (!status) status = sys::try_stat_at(folder, id);
  return status && std::chrono::system_clock::from_time_t(status->st_mtim.tv_sec) <= limit;
}

}  // namespace

Upload::Upload(std::string id, std::string repository, UniqueFd file, std::optional<Hasher> hasher,
               DigestAlgorithm algorithm, std::atomic<unsigned>& buffers, WorkerPool& syncs)
    : id_(std::move(id)),
      repository_(std::move(repository)),
      file_(std::move(file)),
      size_(static_cast<std::uint64_t>(sys::stat_of(file_).st_size)),
      hasher_(std::move(hasher)),
      algorithm_(algorithm),
      buffers_(buffers),
      syncs_(syncs),
      is_sealed_(sys::stat_of(file_).st_nlink > 1) {}  // its server ended before the session did

void Upload::write(std::span<const std::byte> bytes) {
  if (is_sealed_ && !bytes.empty())
    throw Refusal(400, error_code::kUploadInvalid, "the upload is complete: nothing can be added");
  if (!buffer_) buffer_ = WriteBuffer::try_take(buffers_);
  if (!buffer_) return append(bytes);
  while (!bytes.empty()) {
    const std::size_t until_aligned = WriteBuffer::kSize - size_ % WriteBuffer::kSize;
    bytes = buffer_->keep(bytes, until_aligned);
    if (buffer_->bytes().size() == until_aligned) flush();
  }
}

void Upload::flush() {
  if (!buffer_) return;
  try {
    append(buffer_->bytes());
  } catch (const Error&) {
    buffer_->clear();
    throw;
  }
  buffer_->clear();
}

void Upload::append(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  if (!writeback_) writeback_ = std::make_unique<EarlyWriteback>(file_);
  try {
    with_context("write an upload", [&] { sys::write_all(file_, bytes); });
  } catch (const Error&) {
    sys::ftruncate(file_,
                   size_);  // a full disk took a part of it; the session goes on where the client knows
    throw;
  }
  if (hasher_) hasher_->update(bytes);
  size_ += bytes.size();
  writeback_->grown_to(size_);
}

void Upload::end_writeback() {
  if (writeback_) syncs_.add([last = std::shared_ptr(std::move(writeback_))]() mutable { last.reset(); });
}

Digest Upload::digest(DigestAlgorithm algorithm) {
  flush();
  writeback_.reset();
  if (!hasher_ || algorithm != algorithm_) return hash_file(file_, algorithm);
  const Digest result = hasher_->finish();
  hasher_.reset();
  return result;
}

UploadClaim::~UploadClaim() {
  if (!upload_) return;
  try {
    upload_->flush();  // of a client that went away: it can go on behind these
  } catch (const Error&) {
    // It asks how far it got, and sends them again
  }
  upload_->buffer_.reset();
  upload_->end_writeback();
  const std::lock_guard lock(*mutex_);
  upload_->is_claimed_ = false;
  upload_->used_ = std::chrono::steady_clock::now();
}

Uploads::Uploads(const UniqueFd& root, std::size_t limit, std::chrono::seconds idle)
    : folder_(open_folder(root)), limit_(limit), idle_(idle), count_(list_visible_names(folder_).size()) {}

std::size_t Uploads::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

UploadClaim Uploads::begin(const std::string& repository, DigestAlgorithm algorithm) {
  const std::lock_guard lock(mutex_);
  if (count_ >= limit_ && !drop_idle())
    throw Refusal(429, error_code::kTooMany, fmt::format("{} uploads are open already", limit_),
                  {{"Retry-After", "60"}});
  std::string id = sys::random_hex(kIdBytes);
  sys::mkdir_at(folder_, id, 0700);
  try {
    auto upload = std::shared_ptr<Upload>(new Upload(id, repository, make_session(folder_, id, repository),
                                                     Hasher(algorithm), algorithm, buffers_, syncs_));
    upload->is_claimed_ = true;
    known_[id] = upload;
    ++count_;
    return UploadClaim(std::move(upload), mutex_);
  } catch (const Error&) {
    remove_tree(folder_, id);
    throw;
  }
}

/// With the mutex held: removes the session that was begun longest ago and holds nothing, so that sessions
/// that are only begun cannot keep everybody else out. False when there is none.
bool Uploads::drop_idle() {
  const auto limit = std::chrono::steady_clock::now() - idle_;
  std::shared_ptr<Upload> oldest;
  for (const auto& [id, upload] : known_)
    if (!upload->is_claimed_ && !upload->is_over_ && upload->size_ == 0 && upload->used_ < limit &&
        (!oldest || upload->used_ < oldest->used_))
      oldest = upload;
  if (!oldest) return drop_forgotten();
  oldest->is_over_ = true;
  remove(oldest->id_);
  return true;
}

/// As drop_idle(), of an earlier server's sessions: any of those will do.
bool Uploads::drop_forgotten() {
  const auto limit = std::chrono::system_clock::now() - idle_;
  for (const std::string& id : list_visible_names(folder_)) {
    if (known_.contains(id)) continue;
    const auto data = sys::try_stat_at(folder_, id + "/" + kData);
    if ((data && data->st_size > 0) || !is_older(folder_, id, limit)) continue;
    remove(id);
    return true;
  }
  return false;
}

/// A session of an earlier server; null when there is none or it was being made.
std::shared_ptr<Upload> Uploads::load(const std::string& id) {
  const auto folder = sys::try_open_at(folder_, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!folder) return nullptr;
  const auto name = sys::try_open_at(*folder, kRepository, O_RDONLY | O_NOFOLLOW);
  auto file = sys::try_open_at(*folder, kData, O_RDWR | O_APPEND | O_NOFOLLOW);
  if (!name || !file) return nullptr;
  std::string repository = sys::read_all(*name, kMaxName);
  const bool is_empty = sys::stat_of(*file).st_size == 0;
  return std::shared_ptr<Upload>(new Upload(id, std::move(repository), std::move(*file),
                                            is_empty ? std::optional<Hasher>(Hasher()) : std::nullopt,
                                            DigestAlgorithm::sha256, buffers_, syncs_));
}

/// With the mutex held.
std::shared_ptr<Upload> Uploads::find(const std::string& id, const std::string& repository) {
  std::shared_ptr<Upload> upload;
  if (const auto found = known_.find(id); found != known_.end()) {
    upload = found->second;
  } else {
    upload = load(id);
    if (upload) known_[id] = upload;
  }
  if (!upload || upload->is_over_ || upload->repository_ != repository) throw unknown_upload();
  return upload;
}

UploadClaim Uploads::claim(const std::string& id, const std::string& repository) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Upload> upload = find(id, repository);
  if (upload->is_claimed_)
    throw Refusal(409, error_code::kUploadInvalid, "another request is writing to this upload",
                  {{"Retry-After", "1"}});
  upload->is_claimed_ = true;
  return UploadClaim(std::move(upload), mutex_);
}

std::uint64_t Uploads::size_of(const std::string& id, const std::string& repository) {
  const std::lock_guard lock(mutex_);
  return find(id, repository)->size_;
}

/// With the mutex held. It is forgotten when it is gone: until then find() would load it again.
void Uploads::remove(const std::string& id) {
  remove_tree(folder_, id);
  known_.erase(id);
  --count_;
}

void Uploads::end(UploadClaim& claim) {
  claim->end_writeback();
  const std::lock_guard lock(mutex_);
  if (claim->is_over_) return;
  claim->is_over_ = true;
  remove(claim->id());
}

bool Uploads::has_ended(const UploadClaim& claim) const {
  const std::lock_guard lock(mutex_);
  return claim->is_over_;
}

unsigned Uploads::sweep(std::chrono::seconds age) {
  const auto limit = std::chrono::system_clock::now() - age;
  unsigned swept = 0;
  for (const std::string& id : list_visible_names(folder_)) {
    const std::lock_guard lock(mutex_);
    if (!is_older(folder_, id, limit)) continue;
    if (const auto found = known_.find(id); found != known_.end()) {
      if (found->second->is_claimed_) continue;
      found->second->is_over_ = true;
    }
    remove(id);
    ++swept;
  }
  return swept;
}

}  // namespace lay::registry::server
