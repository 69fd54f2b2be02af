#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <future>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace lay {

/// Jobs that run side by side on a few threads and in the caller's, and whose results are taken in the order
/// in which they were started. Destruction waits for those that run and drops those that do not yet.
template <class Result>
class OrderedJobs {
 public:
  /// `threads` counts the caller's, which works when it would wait; at least one more is made, once it is
  /// needed.
  explicit OrderedJobs(std::size_t threads) : threads_(std::max<std::size_t>(threads, 2) - 1) {}

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

  /// The result of the oldest job; rethrows what it threw. While another thread is at it, the caller runs
  /// jobs that nobody has begun. Were it to sleep instead, its processor or another would stand idle: the
  /// kernel wakes it where it slept, which may be taken by then.
  Result take() {
    std::future<Result> oldest = std::move(results_.front());
    results_.pop_front();
    while (!is_ready(oldest) && run_one()) {
    }
    return oldest.get();
  }

 private:
  static constexpr std::size_t kAhead = 2;

  /// Where none can be made, the caller does it all.
  void add_worker() {
    try {
      workers_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
    }
  }

  static bool is_ready(const std::future<Result>& result) {
    return result.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }

  /// False when every job has been begun.
  bool run_one() {
    std::unique_lock lock(mutex_);
    if (queued_.empty()) return false;
    run_next(lock);
    return true;
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return !queued_.empty() || is_ending_; });
      if (queued_.empty()) return;
      run_next(lock);
    }
  }

  void run_next(std::unique_lock<std::mutex>& lock) {
    std::packaged_task<Result()> task = std::move(queued_.front());
    queued_.pop_front();
    lock.unlock();
    task();
    task = {};  // what the job holds goes without the lock as well
    lock.lock();
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
