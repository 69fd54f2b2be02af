#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/stream.h"

namespace lay {

/// A bounded ring of byte blocks between threads: one writes, and each reader sees all of it at its own pace.
/// Bytes stay where they were written until the last reader has passed them.
/// A side that fails calls abort(), and every other side's next call throws that same exception.
class BytePipe final : public ByteSink {
 public:
  /// Holds at most `blocks` blocks of `block_size` bytes.
  explicit BytePipe(std::size_t readers = 1, std::size_t blocks = 8, std::size_t block_size = 512 * 1024);
  ~BytePipe() override;

  std::span<std::byte> room(std::span<std::byte> scratch) override;
  void write(std::span<const std::byte> bytes) override;
  /// The readers see the end after what is queued.
  void finish() override;

  /// Owned by the pipe; each is for one thread.
  ByteSource& reader(std::size_t index);
  /// That reader reads no more: nobody waits for it.
  void leave(std::size_t index);
  /// The first reason stays.
  void abort(std::exception_ptr reason);
  /// Null unless somebody has called abort().
  std::exception_ptr abort_reason();

 private:
  class Reader;
  struct Block {
    std::vector<std::byte> bytes;
    std::size_t size = 0;
  };

  Block& writable();
  void publish();
  std::size_t held() const;
  void wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
            const std::function<bool()>& is_ready);
  void tell_writer();
  void tell_readers();

  const std::size_t block_size_;
  std::vector<Block> ring_;
  std::mutex mutex_;
  std::condition_variable freed_;  ///< blocks, enough of them
  bool is_writer_waiting_ = false;
  std::uint64_t written_ = 0;  ///< blocks
  bool is_filling_ = false;    ///< whether the block after them is the writer's
  std::vector<std::unique_ptr<Reader>> readers_;
  bool ended_ = false;
  std::exception_ptr aborted_;
};

/// Runs `produce` on a thread of its own, writing into a pipe that each of `consumers` reads: the last of
/// them here, the others on threads of their own. All have ended when this returns; the first failure is
/// rethrown. The pipe holds at most `blocks` blocks of 512 KiB.
void run_pipeline(const std::function<void(ByteSink&)>& produce,
                  std::span<const std::function<void(ByteSource&)>> consumers, std::size_t blocks = 8);
void run_pipeline(const std::function<void(ByteSink&)>& produce,
                  const std::function<void(ByteSource&)>& consume, std::size_t blocks = 8);

}  // namespace lay
