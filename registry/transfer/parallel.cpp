#include "transfer/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

namespace lay::registry {

namespace {

class Crew {
 public:
  explicit Crew(const std::vector<std::function<void(const std::stop_token&)>>& jobs) : jobs_(jobs) {}

  void work() {
    for (;;) {
      const std::size_t job = next_.fetch_add(1);
      if (job >= jobs_.size() || stop_.stop_requested()) return;
      try {
        jobs_[job](stop_.get_token());
      } catch (...) {
        fail(std::current_exception());
      }
    }
  }
  void rethrow_failure() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void fail(std::exception_ptr failure) {
    const std::scoped_lock lock(mutex_);
    if (!failure_) failure_ = std::move(failure);  // the others are consequences of the first
    stop_.request_stop();
  }

  const std::vector<std::function<void(const std::stop_token&)>>& jobs_;
  std::atomic<std::size_t> next_ = 0;
  std::stop_source stop_;
  std::mutex mutex_;
  std::exception_ptr failure_;
};

}  // namespace

void run_parallel(const std::vector<std::function<void(const std::stop_token&)>>& jobs, unsigned parallel) {
  Crew crew(jobs);
  const std::size_t count = std::min<std::size_t>(std::max(parallel, 1u), jobs.size());
  {
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < count; ++i) others.emplace_back([&crew] { crew.work(); });
    crew.work();
  }
  crew.rethrow_failure();
}

}  // namespace lay::registry
