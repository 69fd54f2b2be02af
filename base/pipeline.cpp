#include "base/pipeline.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <system_error>
#include <thread>
#include <utility>

#include "base/error.h"

namespace lay {

namespace {

constexpr std::uint64_t kLeft = std::numeric_limits<std::uint64_t>::max();

void add_thread(std::vector<std::jthread>& threads, std::function<void()> work) {
  try {
    threads.emplace_back(std::move(work));
  } catch (const std::system_error& error) {
    throw Error::from_number(error.code().value(), "start a thread");
  }
}

}  // namespace

class BytePipe::Reader final : public ByteSource {
 public:
  explicit Reader(BytePipe& pipe) : pipe_(pipe) {}

  std::size_t read(std::span<std::byte> out) override {
    const auto bytes = borrow(out);
    std::copy(bytes.begin(), bytes.end(), out.begin());
    return bytes.size();
  }

  std::span<const std::byte> borrow(std::span<std::byte> scratch) override {
    if (scratch.empty()) return {};
    if (view_.empty() && !next_block()) return {};
    const auto bytes = view_.first(std::min(view_.size(), scratch.size()));
    view_ = view_.subspan(bytes.size());
    return bytes;
  }

  /// Blocks that may be written again. Guarded by the pipe's mutex.
  std::uint64_t passed = 0;
  /// That there is another block, or none any more.
  std::condition_variable filled;

 private:
  bool next_block() {
    std::unique_lock lock(pipe_.mutex_);
    if (std::exchange(is_holding_, false)) {
      ++passed;
      pipe_.tell_writer();
    }
    pipe_.wait(lock, filled, [&] { return passed < pipe_.written_ || pipe_.ended_; });
    if (passed == pipe_.written_) return false;
    const Block& block = pipe_.ring_[passed % pipe_.ring_.size()];
    view_ = std::span(block.bytes).first(block.size);
    is_holding_ = true;
    return true;
  }

  BytePipe& pipe_;
  std::span<const std::byte> view_;  ///< what is left of the block at `passed`
  bool is_holding_ = false;
};

BytePipe::BytePipe(std::size_t readers, std::size_t blocks, std::size_t block_size)
    : block_size_(block_size), ring_(blocks) {
  for (std::size_t i = 0; i < readers; ++i) readers_.push_back(std::make_unique<Reader>(*this));
}

BytePipe::~BytePipe() = default;

ByteSource& BytePipe::reader(std::size_t index) {
  return *readers_[index];
}

/// Blocks that somebody has still to read.
std::size_t BytePipe::held() const {
  std::uint64_t least = kLeft;
  for (const auto& reader : readers_) least = std::min(least, reader->passed);
  return least == kLeft ? 0 : static_cast<std::size_t>(written_ - least);
}

/// Throws what the pipe was aborted for, before or while waiting.
void BytePipe::wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
                    const std::function<bool()>& is_ready) {
  changed.wait(lock, [&] { return aborted_ || is_ready(); });
  if (aborted_) std::rethrow_exception(aborted_);
}

/// Waking costs a system call, and another core an interrupt: only who has work now. Letting a writer sleep
/// until half of the ring is free saves a third more of that, and starves the readers on a busy machine.
void BytePipe::tell_writer() {
  if (!is_writer_waiting_ || held() == ring_.size()) return;
  is_writer_waiting_ = false;
  freed_.notify_one();
}

void BytePipe::tell_readers() {
  for (const auto& reader : readers_) reader->filled.notify_one();
}

/// The block being filled; waits while every block is still read.
BytePipe::Block& BytePipe::writable() {
  Block& block = ring_[written_ % ring_.size()];
  if (is_filling_) return block;
  std::unique_lock lock(mutex_);
  if (held() == ring_.size()) {
    is_writer_waiting_ = true;
    wait(lock, freed_, [&] { return !is_writer_waiting_; });
  }
  block.bytes.resize(block_size_);
  block.size = 0;
  is_filling_ = true;
  return block;
}

/// Hands the block being filled to the readers.
void BytePipe::publish() {
  const std::scoped_lock lock(mutex_);
  if (aborted_) std::rethrow_exception(aborted_);
  ++written_;
  is_filling_ = false;
  tell_readers();
}

std::span<std::byte> BytePipe::room(std::span<std::byte>) {
  Block& block = writable();
  return std::span(block.bytes).subspan(block.size);
}

void BytePipe::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    Block& block = writable();
    std::byte* const place = block.bytes.data() + block.size;
    const std::size_t count = std::min(bytes.size(), block.bytes.size() - block.size);
    if (place != bytes.data()) std::memcpy(place, bytes.data(), count);
    bytes = bytes.subspan(count);
    block.size += count;
    // The rest of a block that is nearly full would only make for small reads into room().
    if (block.bytes.size() - block.size < block_size_ / 8) publish();
  }
}

void BytePipe::finish() {
  if (is_filling_) publish();
  const std::scoped_lock lock(mutex_);
  ended_ = true;
  tell_readers();
}

void BytePipe::leave(std::size_t index) {
  const std::scoped_lock lock(mutex_);
  readers_[index]->passed = kLeft;
  tell_writer();
}

void BytePipe::abort(std::exception_ptr reason) {
  const std::scoped_lock lock(mutex_);
  if (!aborted_) aborted_ = std::move(reason);
  freed_.notify_one();
  tell_readers();
}

std::exception_ptr BytePipe::abort_reason() {
  const std::scoped_lock lock(mutex_);
  return aborted_;
}

void run_pipeline(const std::function<void(ByteSink&)>& produce,
                  std::span<const std::function<void(ByteSource&)>> consumers, std::size_t blocks) {
  BytePipe pipe(consumers.size(), blocks);
  const auto guarded = [&](const std::function<void()>& work) {
    try {
      work();
    } catch (...) {
      pipe.abort(std::current_exception());
    }
  };
  const auto consume = [&](std::size_t index) {
    guarded([&] {
      consumers[index](pipe.reader(index));
      pipe.leave(index);
    });
  };
  {
    std::vector<std::jthread> threads;
    guarded([&] {
      add_thread(threads, [&] {
        guarded([&] {
          produce(pipe);
          pipe.finish();
        });
      });
      for (std::size_t i = 0; i + 1 < consumers.size(); ++i) add_thread(threads, [&, i] { consume(i); });
    });
    consume(consumers.size() - 1);
  }
  if (const auto reason = pipe.abort_reason()) std::rethrow_exception(reason);
}

void run_pipeline(const std::function<void(ByteSink&)>& produce,
                  const std::function<void(ByteSource&)>& consume, std::size_t blocks) {
  run_pipeline(produce, std::span(&consume, 1), blocks);
}

}  // namespace lay
