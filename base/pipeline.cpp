#include "base/pipeline.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace lay {

BytePipe::BytePipe(std::size_t blocks, std::size_t block_size)
    : max_blocks_(blocks), block_size_(block_size) {}

/// Hands the block being filled to the reader; waits while the queue is full.
void BytePipe::flush_locked(std::unique_lock<std::mutex>& lock) {
  if (filling_.empty()) return;
  changed_.wait(lock, [&] { return full_.size() < max_blocks_ || aborted_; });
  if (aborted_) std::rethrow_exception(aborted_);
  full_.push_back(std::move(filling_));
  filling_ = {};
  if (!spare_.empty()) {
    filling_ = std::move(spare_.back());
    spare_.pop_back();
    filling_.clear();
  }
  changed_.notify_all();
}

void BytePipe::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (filling_.capacity() < block_size_) filling_.reserve(block_size_);
    const std::size_t count = std::min(bytes.size(), block_size_ - filling_.size());
    filling_.insert(filling_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
    bytes = bytes.subspan(count);
    if (filling_.size() == block_size_) {
      std::unique_lock lock(mutex_);
      flush_locked(lock);
    }
  }
}

void BytePipe::finish() {
  std::unique_lock lock(mutex_);
  flush_locked(lock);
  ended_ = true;
  changed_.notify_all();
}

std::size_t BytePipe::read(std::span<std::byte> out) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !full_.empty() || ended_ || aborted_; });
  if (aborted_) std::rethrow_exception(aborted_);
  if (full_.empty()) return 0;
  // Only this thread removes blocks, so the front may be copied without holding the lock.
  const Block& front = full_.front();
  lock.unlock();
  const std::size_t count = std::min(out.size(), front.size() - read_offset_);
  std::memcpy(out.data(), front.data() + read_offset_, count);
  read_offset_ += count;
  if (read_offset_ == front.size()) {
    lock.lock();
    spare_.push_back(std::move(full_.front()));
    full_.pop_front();
    read_offset_ = 0;
    changed_.notify_all();
  }
  return count;
}

void BytePipe::abort(std::exception_ptr reason) {
  const std::scoped_lock lock(mutex_);
  if (!aborted_) aborted_ = std::move(reason);
  changed_.notify_all();
}

AsyncSink::AsyncSink(std::function<void(ByteSource&)> consume)
    : consume_(std::move(consume)), thread_([this] {
        try {
          consume_(pipe_);
        } catch (...) {
          failure_ = std::current_exception();
          pipe_.abort(failure_);
        }
      }) {}

AsyncSink::~AsyncSink() {
  if (!thread_.joinable()) return;
  pipe_.abort(std::make_exception_ptr(Error(Errc::cancelled, "the stream was given up")));
  thread_.join();
}

void AsyncSink::finish() {
  try {
    pipe_.finish();
  } catch (...) {  // the thread failed and aborted the pipe: its own exception is rethrown below
  }
  thread_.join();
  if (failure_) std::rethrow_exception(failure_);
}

void run_pipeline(const std::function<void(ByteSink&)>& produce,
                  const std::function<void(ByteSource&)>& consume) {
  BytePipe pipe;
  std::thread producer([&] {
    try {
      produce(pipe);
      pipe.finish();
    } catch (...) {
      pipe.abort(std::current_exception());
    }
  });
  std::exception_ptr failure;
  try {
    consume(pipe);
  } catch (...) {
    failure = std::current_exception();
    pipe.abort(failure);
  }
  producer.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace lay
