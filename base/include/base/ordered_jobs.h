#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <future>
#include <utility>

namespace lay {

/// Jobs that run side by side, each on a thread of its own, and whose results are taken in the order in which
/// they were started. Destruction waits for those that still run.
template <class Result>
class OrderedJobs {
 public:
  /// At most `limit` jobs run at once; at least one.
  explicit OrderedJobs(std::size_t limit) : limit_(std::max<std::size_t>(limit, 1)) {}

  /// Whether a result has to be taken before the next start().
  bool is_full() const { return running_.size() == limit_; }
  bool is_empty() const { return running_.empty(); }

  template <class Job>
  void start(Job&& job) {
    running_.push_back(std::async(std::launch::async, std::forward<Job>(job)));
  }

  /// Waits for the oldest job; rethrows what it threw.
  Result take() {
    std::future<Result> oldest = std::move(running_.front());
    running_.pop_front();
    return oldest.get();
  }

 private:
  const std::size_t limit_;
  std::deque<std::future<Result>> running_;
};

}  // namespace lay
