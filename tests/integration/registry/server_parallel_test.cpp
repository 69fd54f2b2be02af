#include <atomic>
#include <thread>

#include "registry_api.h"
#include "store_support.h"

namespace lay::registry {

namespace {

enum class Target { one_repository, several };

constexpr int kThreads = 8;
constexpr int kEach = 25;

std::string repository_of(int thread, Target target) {
  return target == Target::one_repository ? "team/app" : fmt::format("team/app{}", thread);
}

std::string tag_of(int thread, int number) {
  return fmt::format("t{}-{:02}", thread, number);
}

/// Each thread pushes manifests under tags of its own, half of them images and half what is no name of the
/// store; returns how many were refused.
int push_in_parallel(test::RegistryApi& api, Target target) {
  std::atomic<int> refused = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&, thread] {
      const std::string repository = repository_of(thread, target);
      for (int i = 0; i < kEach; ++i) {
        const auto manifest = i % 2 == 0 ? api.try_push_parts(repository, tag_of(thread, i))
                                         : api.try_push_artifact(repository);
        if (!manifest || api.put_manifest(repository, tag_of(thread, i), *manifest).status != 201) ++refused;
      }
    });
  for (std::thread& thread : threads) thread.join();
  return refused;
}

}  // namespace

TEST_CASE("manifests that are pushed at the same time are all there, and listed", "[registry][server]") {
  const test::SmallDisk disk("128m");
  const auto store = layerstore::Store::open(disk.path() + "/root");
  test::RegistryApi api(store);
  const Target target = GENERATE(Target::one_repository, Target::several);
  const bool is_shared = target == Target::one_repository;
  REQUIRE(push_in_parallel(api, target) == 0);
  for (int thread = 0; thread < kThreads; ++thread) {
    const std::string repository = repository_of(thread, target);
    const auto list = parse_json(api.request("GET", "/v2/" + repository + "/tags/list").body, "tags");
    CHECK(json_strings(list, "tags").size() ==
          static_cast<std::size_t>(is_shared ? kThreads * kEach : kEach));
    for (int i = 0; i < kEach; ++i) {
      const auto answer = api.request("GET", "/v2/" + repository + "/manifests/" + tag_of(thread, i));
      CHECK(answer.status == 200);
      CHECK_THAT(answer.body, Catch::Contains("schemaVersion"));
    }
  }
  const auto all = parse_json(api.request("GET", "/v2/_catalog").body, "catalog");
  CHECK(json_strings(all, "repositories").size() == static_cast<std::size_t>(is_shared ? 1 : kThreads));
  CHECK(store.images().list().size() == static_cast<std::size_t>(kThreads * (kEach / 2 + 1)));
}

}  // namespace lay::registry
