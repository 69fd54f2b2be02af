#include "server/left_blobs.h"

#include <algorithm>

#include "base/syscalls.h"
#include "base/text.h"
#include "layerstore/damage.h"
#include "layerstore/layer_pair.h"
#include "registry/absent.h"
#include "server/refusal.h"

namespace lay::registry::server {

namespace {

using layerstore::Descriptor;
using layerstore::Digest;

constexpr std::chrono::seconds kSilence{10};
constexpr std::size_t kMaxSeen = 10'000;  // pairs that are remembered
constexpr std::size_t kMaxVia = 1024;     // a longer one may be refused where it is asked
constexpr std::string_view kNameBegin = "lay-";
/// Clients wait meanwhile, and others for their turn.
const Patience kPatience{
    .retries = 1, .first_delay = std::chrono::milliseconds{200}, .stall_seconds = 20, .connect_seconds = 5};

Refusal not_to_be_had() {
  return Refusal(503, error_code::kUnknown,
                 "the blob is not here, and cannot be had now from where it is; the operator's log says why",
                 {{"Retry-After", std::to_string(kSilence.count())}});
}

Refusal is_gone(const Digest& blob) {
  return Refusal(404, error_code::kBlobUnknown,
                 "blob " + blob.to_string() + " is not here, and no more where it was");
}

/// A header that is refused where the blob is would look as if nobody answered there.
bool is_passed_on(const std::string& via) {
  const bool is_printable = std::all_of(via.begin(), via.end(), [](char c) { return c >= ' ' && c <= '~'; });
  return !via.empty() && via.size() <= kMaxVia && is_printable;
}

Refusal no_such_layer(const Digest& blob) {
  return Refusal(404, error_code::kBlobUnknown,
                 "blob " + blob.to_string() + " is not the layer that its image says, and is not served");
}

}  // namespace

std::size_t hops_of(std::string_view via) {
  std::size_t count = 0;
  for (std::size_t at = via.find(kNameBegin); at != std::string_view::npos; at = via.find(kNameBegin, at + 1))
    ++count;
  return count;
}

LeftBlobs::LeftBlobs(const layerstore::Store& store, std::function<void(const Error&)> report)
    : store_(store), name_(std::string(kNameBegin) + sys::random_hex(8)), report_(std::move(report)) {}

bool LeftBlobs::is_left(const Digest& blob) const {
  return !store_.blobs().has(blob) && store_.absent().find(blob);
}

void LeftBlobs::refuse_if_silent(const std::string& place, const Digest& blob) {
  const std::lock_guard lock(mutex_);
  std::erase_if(silent_, [now = Clock::now()](const auto& failed) { return failed.second.until <= now; });
  for (const std::string& what : {place, blob.to_string()}) {
    const auto failed = silent_.find(what);
    if (failed == silent_.end()) continue;
    throw failed->second.code == Errc::not_found ? is_gone(blob) : not_to_be_had();
  }
}

/// What nobody answers to keeps all its blobs from being asked for; what is wrong with one does not.
void LeftBlobs::note_failure(Errc code, const std::string& place, const Digest& blob) {
  const bool is_of_place = code == Errc::unavailable || code == Errc::limited;
  const std::lock_guard lock(mutex_);
  silent_[is_of_place ? place : blob.to_string()] = {.until = Clock::now() + kSilence, .code = code};
}

bool LeftBlobs::may_bring_for(const std::string& via) const {
  return via.find(name_) == std::string::npos && hops_of(via) < kMaxHops;
}

void LeftBlobs::bring(const Digest& blob, const std::string& via) {
  const FileLock adding = store_.share();
  const auto absent = store_.absent().find(blob);
  if (store_.blobs().has(blob) || !absent) return;  // it came meanwhile, or nobody needs it
  const std::string place = join(absent->origins, ",");
  refuse_if_silent(place, blob);
  try {
    const Connection connection{.patience = kPatience,
                                .via = (is_passed_on(via) ? via + ", " : "") + "1.1 " + name_};
    fetch_absent(store_, *absent, {.connection = [&](const std::string&) { return connection; }},
                 no_progress());
  } catch (const Error& error) {
    const bool is_not_found = error.code() == Errc::not_found;
    // The servers that ask were left out, and may come to have it: not so for who asks for himself.
    if (is_not_found && hops_of(via) > 0) throw is_gone(blob);
    report_(error);
    note_failure(error.code(), place, blob);
    throw is_not_found ? is_gone(blob) : not_to_be_had();
  }
}

bool LeftBlobs::is_seen(const BlobPair& pair) const {
  const auto& [blob, diff_id] = pair;
  if (store_.layers().is_from(diff_id, blob)) return true;
  const std::lock_guard lock(mutex_);
  return seen_.contains({blob.digest, diff_id});
}

void LeftBlobs::check(const BlobPair& pair) {
  const auto& [blob, diff_id] = pair;
  {
    const std::lock_guard lock(mutex_);
    if (refused_.contains({blob.digest, diff_id})) throw no_such_layer(blob.digest);
  }
  const FileLock using_blobs = store_.share();
  try {
    layerstore::require_pair(store_, blob, diff_id);
  } catch (const Error& error) {
    if (!layerstore::is_wrong(error)) throw;
    report_(error);
    const std::lock_guard lock(mutex_);
    if (refused_.size() < kMaxSeen) refused_.emplace(blob.digest, diff_id);
    throw no_such_layer(blob.digest);
  }
  const std::lock_guard lock(mutex_);
  if (seen_.size() < kMaxSeen) seen_.emplace(blob.digest, diff_id);
}

}  // namespace lay::registry::server
