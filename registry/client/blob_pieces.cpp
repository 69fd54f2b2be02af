#include "client/blob_pieces.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace lay::registry {

namespace {

using layerstore::BlobPart;

constexpr std::size_t kWorkers = 6;       // as many connections as browsers use to one host
constexpr std::size_t kMaxRun = 128;      // parts of one request: 3 KB of header, which proxies let pass
constexpr std::size_t kMaxSingly = 1000;  // with more round trips the whole layer comes faster
constexpr std::uint64_t kMaxRunBytes = 1 << 20;  // larger parts are worth a request of their own
constexpr std::uint64_t kMaxHeld = 8 << 20;

}  // namespace

BlobPieces::BlobPieces(const RegistryClient& client, const layerstore::Descriptor& blob,
                       const std::stop_token& stop)
    : client_(client), blob_(blob), stop_(stop) {}

BlobPieces::~BlobPieces() {
  end_work();
}

void BlobPieces::end_work() {
  {
    const std::scoped_lock lock(mutex_);
    is_over_ = true;
  }
  changed_.notify_all();
  for (std::jthread& worker : workers_) worker.request_stop();
  workers_.clear();  // joins
}

void BlobPieces::expect(std::vector<BlobPart> parts) {
  end_work();
  pieces_.clear();
  for (const BlobPart& part : parts)
    if (part.size <= kMaxRunBytes) pieces_.push_back({.part = part});
  asked_ = next_ = 0;
  held_ = 0;
  is_over_ = false;
  failure_ = nullptr;
  if (several_ == Several::asking) several_ = Several::unknown;  // who asked ended without an answer
  for (std::size_t i = 0; i < std::min(kWorkers, pieces_.size()); ++i) try {
      workers_.emplace_back([this](const std::stop_token& stop) { work(stop); });
    } catch (const std::system_error& error) {
      throw Error::from_number(error.code().value(), "start a thread");
    }
}

void BlobPieces::fetch(const BlobPart& part, ByteSink& out) {
  std::unique_lock lock(mutex_);
  if (asked_ == pieces_.size() || pieces_[asked_].part != part) {
    lock.unlock();
    return get_piece(part, out, stop_);
  }
  Piece& piece = pieces_[asked_];
  changed_.wait(lock, [&] { return piece.bytes || failure_; });
  if (!piece.bytes) std::rethrow_exception(failure_);
  const std::string bytes = *std::exchange(piece.bytes, std::nullopt);
  ++asked_;
  held_ -= part.size;
  lock.unlock();
  changed_.notify_all();
  out.write(std::as_bytes(std::span(bytes)));
}

void BlobPieces::work(const std::stop_token& stop) {
  try {
    // Somebody else's failure stops what is on its way as well.
    std::stop_source both;
    const std::stop_callback on_end(stop, [&] { both.request_stop(); });
    const std::stop_callback on_failure(stop_, [&] { both.request_stop(); });
    for (;;) {
      const auto [first, last] = take_run();
      if (first == last) return;
      if (last - first > 1)
        get_several(first, last, both.get_token());
      else
        get_one(first, both.get_token());
    }
  } catch (...) {
    const std::scoped_lock lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
    is_over_ = true;
  }
  changed_.notify_all();
}

/// The first request for several shows whether there is use in another: until then the others wait.
std::pair<std::size_t, std::size_t> BlobPieces::take_run() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    const bool has_room = held_ < kMaxHeld || next_ == asked_;
    return is_over_ || next_ == pieces_.size() || (several_ != Several::asking && has_room);
  });
  if (is_over_) return {next_, next_};
  const std::size_t first = next_;
  next_ = end_of_run();
  for (std::size_t i = first; i < next_; ++i) held_ += pieces_[i].part.size;
  if (several_ == Several::unknown && next_ - first > 1) several_ = Several::asking;
  return {first, next_};
}

std::size_t BlobPieces::end_of_run() const {
  const std::size_t most = several_ == Several::refused ? 1 : kMaxRun;
  std::uint64_t size = 0;
  std::size_t end = next_;
  while (end < pieces_.size() && end - next_ < most && (size += pieces_[end].part.size) <= kMaxRunBytes)
    ++end;
  return end;
}

/// Empty when they have to be got one by one: also where the answer breaks off again and again, for a part of
/// its own is gone on with where it broke.
std::optional<std::vector<std::string>> BlobPieces::ask_for(const std::vector<BlobPart>& parts,
                                                            const std::stop_token& stop) {
  const bool may_be_singly = pieces_.size() <= kMaxSingly;
  try {
    auto bytes = client_.get_blob_pieces(blob_, parts, stop);
    if (!bytes && !may_be_singly) throw Error(Errc::unsupported, "serves only one part of a blob at a time");
    return bytes;
  } catch (const Error& error) {
    if (error.code() != Errc::unavailable || !may_be_singly) throw;
    return std::nullopt;
  }
}

void BlobPieces::get_several(std::size_t first, std::size_t last, const std::stop_token& stop) {
  std::vector<BlobPart> parts;
  for (std::size_t i = first; i < last; ++i) parts.push_back(pieces_[i].part);
  auto bytes = ask_for(parts, stop);
  bool is_given_back = false;
  {
    const std::scoped_lock lock(mutex_);
    is_given_back = !bytes && several_ == Several::asking;  // nobody has gone on behind these
    several_ = bytes ? Several::served : Several::refused;
    if (is_given_back) {
      next_ = first;
      for (const BlobPart& part : parts) held_ -= part.size;
    }
  }
  changed_.notify_all();
  if (bytes) return store(first, std::move(*bytes));
  for (std::size_t i = first; i < last && !is_given_back; ++i) get_one(i, stop);
}

void BlobPieces::get_piece(const BlobPart& part, ByteSink& out, const std::stop_token& stop) {
  try {
    client_.get_blob_piece(blob_, part.offset, part.size, out, stop);
  } catch (const Error& error) {
    if (error.code() == Errc::not_found) is_gone_ = true;
    throw;
  }
}

void BlobPieces::get_one(std::size_t index, const std::stop_token& stop) {
  const BlobPart part = pieces_[index].part;
  StringSink sink;
  get_piece(part, sink, stop);
  store(index, {sink.text()});
}

void BlobPieces::store(std::size_t first, std::vector<std::string> bytes) {
  {
    const std::scoped_lock lock(mutex_);
    for (std::size_t i = 0; i < bytes.size(); ++i) pieces_[first + i].bytes = std::move(bytes[i]);
  }
  changed_.notify_all();
}

}  // namespace lay::registry
