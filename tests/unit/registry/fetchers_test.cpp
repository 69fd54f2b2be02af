#include "server/content/fetchers.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "poll_until.h"

namespace lay::registry::server {

namespace {

/// Jobs that note that they began, and end when they may.
class HeldJobs {
 public:
  std::function<void()> job(const std::string& name) {
    return [this, name] {
      {
        const std::lock_guard lock(mutex_);
        begun_.push_back(name);
      }
      end_.wait();
    };
  }
  void let_end() { may_end_.set_value(); }
  std::size_t begun() {
    const std::lock_guard lock(mutex_);
    return begun_.size();
  }
  std::vector<std::string> names() {
    const std::lock_guard lock(mutex_);
    return begun_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> begun_;
  std::promise<void> may_end_;
  std::shared_future<void> end_ = may_end_.get_future().share();
};

}  // namespace

TEST_CASE("six blobs are fetched at once, three of them for clients, by how many servers they may be wanted",
          "[registry][server]") {
  HeldJobs jobs;
  Fetchers fetchers;
  for (std::size_t hops = 0; hops < kMaxHops; ++hops)
    for (int i = 0; i < 8; ++i) {
      const std::string name = std::to_string(hops) + "-" + std::to_string(i);
      fetchers.add(hops, name, jobs.job(name));
    }
  CHECK(test::poll_until([&] { return jobs.begun() >= 6; }));
  CHECK_FALSE(test::poll_until([&] { return jobs.begun() > 6; }, std::chrono::seconds(1)));
  jobs.let_end();
  CHECK(test::poll_until([&] { return jobs.begun() == 8 * kMaxHops; }));
}

TEST_CASE("what a server is fetching for another one, a client waits for; never the other way round",
          "[registry][server]") {
  HeldJobs server;
  HeldJobs client;
  HeldJobs further;
  Fetchers fetchers;
  fetchers.add(2, "blob", server.job("server"));
  CHECK(test::poll_until([&] { return server.begun() == 1; }));
  fetchers.add(0, "blob", client.job("client"));
  fetchers.add(3, "blob", further.job("further"));
  CHECK(test::poll_until([&] { return further.begun() == 1; }));
  CHECK(client.begun() == 0);
  further.let_end();
  server.let_end();
  CHECK(test::poll_until([&] { return client.begun() == 1; }));
  client.let_end();
}

}  // namespace lay::registry::server
