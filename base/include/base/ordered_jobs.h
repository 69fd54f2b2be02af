#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <future>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"

namespace lay {

/// Jobs that run side by side on a few threads, and whose results are taken in the order in which they were
/// started. Destruction waits for those that run and drops those that do not yet.
template <class Result>
class OrderedJobs {
 public:
  /// At least one thread. Their threads are made as they are needed.
  explicit OrderedJobs(std::size_t threads) : threads_(std::max<std::size_t>(threads, 1)) {}

  ~OrderedJobs() {
    {
      const std::scoped_lock lock(mutex_);
      queued_.clear();
      is_ending_ = true;
    }
    changed_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  OrderedJobs(const OrderedJobs&) = delete;
  OrderedJobs& operator=(const OrderedJobs&) = delete;

  /// Whether a result has to be taken before the next start(): enough is started to keep every thread busy
  /// while the oldest result is dealt with.
  bool is_full() const { return results_.size() == threads_ + kAhead; }
  bool is_empty() const { return results_.empty(); }

  template <class Job>
  void start(Job&& job) {
    std::packaged_task<Result()> task(std::forward<Job>(job));
    results_.push_back(task.get_future());
    if (workers_.size() < std::min(threads_, results_.size())) add_worker();
    {
      const std::scoped_lock lock(mutex_);
      queued_.push_back(std::move(task));
    }
    changed_.notify_one();
  }

  /// Waits for the oldest job; rethrows what it threw.
  Result take() {
    std::future<Result> oldest = std::move(results_.front());
    results_.pop_front();
    return oldest.get();
  }

 private:
  static constexpr std::size_t kAhead = 2;

  /// The first one is needed.
  void add_worker() {
    try {
      workers_.emplace_back([this] { work(); });
    } catch (const std::system_error& error) {
      if (workers_.empty()) throw Error::from_number(error.code().value(), "start a thread");
    }
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return !queued_.empty() || is_ending_; });
      if (queued_.empty()) return;
      std::packaged_task<Result()> task = std::move(queued_.front());
      queued_.pop_front();
      lock.unlock();
      task();
      lock.lock();
    }
  }

  const std::size_t threads_;
  std::deque<std::future<Result>> results_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::packaged_task<Result()>> queued_;
  bool is_ending_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace lay
