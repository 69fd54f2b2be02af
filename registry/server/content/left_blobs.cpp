#include "server/content/left_blobs.h"

#include <algorithm>

#include "base/syscalls.h"
#include "base/text.h"
#include "layerstore/damage.h"
#include "layerstore/layer_pair.h"
#include "registry/absent.h"
#include "server/api/refusal.h"

namespace lay::registry::server {

namespace {

using layerstore::Descriptor;
using layerstore::Digest;

constexpr std::chrono::seconds kSilence{10};
constexpr std::size_t kMaxSeen = 10'000;  // pairs that are remembered
/// Of one blob, for servers. Who makes up more names of servers has none of them asked for.
constexpr std::ptrdiff_t kMaxMissed = 4;
constexpr std::string_view kNameBegin = "lay-";
constexpr std::size_t kNameBytes = 8;
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

bool is_name(std::string_view word) {
  return word.size() == kNameBegin.size() + 2 * kNameBytes && word.starts_with(kNameBegin) &&
         word.find_first_not_of("0123456789abcdef", kNameBegin.size()) == std::string_view::npos;
}

/// The header of a request for these. Nothing else of theirs is passed on: a long or odd one may be refused
/// where the blob is, as if nobody answered there.
std::string via_of(const Askers& askers, const std::string& last) {
  std::string via;
  for (const std::string& name : askers) via += "1.1 " + name + ", ";
  return via + "1.1 " + last;
}

Refusal no_such_layer(const Digest& blob) {
  return Refusal(404, error_code::kBlobUnknown,
                 "blob " + blob.to_string() + " is not the layer that its image says, and is not served");
}

}  // namespace

Askers askers_of(std::string_view via) {
  constexpr std::string_view kBetween = ", \t";
  Askers askers;
  for (std::size_t begin = 0; begin < via.size();) {
    const std::size_t end = std::min(via.find_first_of(kBetween, begin), via.size());
    if (const auto word = via.substr(begin, end - begin); is_name(word)) askers.emplace(word);
    begin = end + 1;
  }
  return askers;
}

LeftBlobs::LeftBlobs(const layerstore::Store& store, std::function<void(const Error&)> report)
    : store_(store),
      name_(std::string(kNameBegin) + sys::random_hex(kNameBytes)),
      report_(std::move(report)) {}

bool LeftBlobs::is_left(const Digest& blob) const {
  return !store_.blobs().has(blob) && store_.absent().find(blob);
}

/// What was not found for some servers is not for these and more: a server leaves out those who ask it.
void LeftBlobs::refuse_if_failed(const std::string& place, const Digest& blob, const Askers& askers) {
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = Clock::now();
  std::erase_if(silent_, [now](const auto& failed) { return failed.second <= now; });
  std::erase_if(missed_, [now](const Missed& missed) { return missed.until <= now; });
  if (silent_.contains(place) || silent_.contains(blob.to_string())) throw not_to_be_had();
  const auto is_same = [&](const Missed& missed) { return missed.blob == blob; };
  const auto is_missed = [&](const Missed& missed) {
    return is_same(missed) &&
           std::includes(askers.begin(), askers.end(), missed.askers.begin(), missed.askers.end());
  };
  const bool has_many =
      !askers.empty() && std::count_if(missed_.begin(), missed_.end(), is_same) >= kMaxMissed;
  if (has_many || std::any_of(missed_.begin(), missed_.end(), is_missed)) throw is_gone(blob);
}

/// What nobody answers to keeps all its blobs from being asked for; what is wrong with one does not.
void LeftBlobs::note_failure(Errc code, const std::string& place, const Digest& blob, const Askers& askers) {
  const bool is_of_place = code == Errc::unavailable || code == Errc::limited;
  const Clock::time_point until = Clock::now() + kSilence;
  const std::lock_guard lock(mutex_);
  if (code == Errc::not_found)
    missed_.push_back({.until = until, .blob = blob, .askers = askers});
  else
    silent_[is_of_place ? place : blob.to_string()] = until;
}

bool LeftBlobs::may_bring_for(const Askers& askers) const {
  return !askers.contains(name_) && askers.size() < kMaxHops;
}

void LeftBlobs::bring(const Digest& blob, const Askers& askers) {
  const FileLock adding = store_.share();
  const auto absent = store_.absent().find(blob);
  if (store_.blobs().has(blob) || !absent) return;  // it came meanwhile, or nobody needs it
  const std::string place = join(absent->origins, ",");
  refuse_if_failed(place, blob, askers);
  try {
    const Connection connection{.patience = kPatience, .via = via_of(askers, name_)};
    fetch_absent(store_, *absent, {.connection = [&](const std::string&) { return connection; }},
                 no_progress());
  } catch (const Error& error) {
    report_(error);
    note_failure(error.code(), place, blob, askers);
    throw error.code() == Errc::not_found ? is_gone(blob) : not_to_be_had();
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
