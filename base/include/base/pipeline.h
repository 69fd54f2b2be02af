#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "base/stream.h"

namespace lay {

/// A bounded queue of byte blocks between two threads: one writes, one reads. Blocks are reused.
/// A side that fails calls abort(), and the other side's next call throws that same exception.
class BytePipe final : public ByteSource, public ByteSink {
 public:
  /// Holds at most `blocks` blocks of `block_size` bytes.
  explicit BytePipe(std::size_t blocks = 8, std::size_t block_size = 256 * 1024);

  void write(std::span<const std::byte> bytes) override;
  /// The reader sees the end after what is queued.
  void finish() override;
  std::size_t read(std::span<std::byte> out) override;
  void abort(std::exception_ptr reason);

 private:
  using Block = std::vector<std::byte>;
  void flush_locked(std::unique_lock<std::mutex>& lock);

  const std::size_t max_blocks_;
  const std::size_t block_size_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Block> full_;
  std::vector<Block> spare_;
  Block filling_;
  std::size_t read_offset_ = 0;
  bool ended_ = false;
  std::exception_ptr aborted_;
};

/// A sink whose bytes are read by a thread of its own, so that producing and consuming overlap. finish()
/// waits until everything is consumed, and rethrows what the thread threw. Destroyed without finish(): the
/// thread is stopped.
class AsyncSink final : public ByteSink {
 public:
  /// `consume` reads its source to the end, or throws.
  explicit AsyncSink(std::function<void(ByteSource&)> consume);
  ~AsyncSink() override;
  void write(std::span<const std::byte> bytes) override { pipe_.write(bytes); }
  void finish() override;

 private:
  BytePipe pipe_;
  std::function<void(ByteSource&)> consume_;
  std::exception_ptr failure_;
  std::thread thread_;  // last: it uses the members above
};

/// Runs `produce` on a thread of its own, writing into a pipe that `consume` reads here. Both have ended when
/// this returns; the first failure of either is rethrown.
void run_pipeline(const std::function<void(ByteSink&)>& produce,
                  const std::function<void(ByteSource&)>& consume);

}  // namespace lay
