#include "security/id_ranges.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "base/folder_names.h"
#include "base/syscalls.h"
#include "security/id_map.h"
#include "temp_folder.h"

using namespace lay;
using namespace lay::runner;

TEST_CASE("U04: without an entry for containers, ids come from systemd's range and never from a user's",
          "[runner][ids]") {
  const IdPool pool = find_id_pool("alice:524288:65536\n# x\nbroken\n", "bob:589824:65536\nbob:a:b\n");
  REQUIRE(pool.allowed == std::vector<IdRange>{{524288, 1878523904}});
  CHECK(pool.taken == std::vector<IdRange>{{524288, 65536}, {589824, 65536}});
  for (int i = 0; i < 100; ++i) {
    const auto first = choose_ids(pool, 65536, std::to_string(i));
    REQUIRE(first);
    CHECK(*first >= 655360);
    CHECK(*first % 65536 == 0);
  }
}

TEST_CASE("U04: the entries of containers are what both files have in common", "[runner][ids]") {
  const IdPool pool =
      find_id_pool("containers:100000:131072\nalice:100000:65536\n", "containers:100000:65536");
  CHECK(pool.allowed == std::vector<IdRange>{{100000, 65536}});
  CHECK(pool.taken.empty());
  CHECK(choose_ids(pool, 65536, "x") == 100000U);
  CHECK_FALSE(choose_ids(pool, 65537, "x"));
  CHECK_FALSE(choose_ids({.allowed = pool.allowed, .taken = {{165535, 1}}}, 65536, "x"));
}

TEST_CASE("maps that the kernel would refuse, or without a root, are refused before", "[runner][ids]") {
  const auto check = [](std::vector<IdMapping> uids) {
    Linux spec;
    spec.uid_mappings = std::move(uids);
    spec.gid_mappings = {{0, 1000, 1}};
    check_id_maps(spec);
  };
  CHECK_NOTHROW(check({{0, 100000, 65536}, {65536, 0, 1}}));
  CHECK_THROWS_WITH(check({{1, 100000, 65536}}), Catch::Contains("nothing of root"));
  CHECK_THROWS_WITH(check({{0, 100000, 10}, {5, 200000, 10}}), Catch::Contains("overlap"));
  CHECK_THROWS_WITH(check({{0, 100000, 10}, {10, 100009, 10}}), Catch::Contains("overlap"));
  CHECK_THROWS_WITH(check({{0, 4294967290U, 100}}), Catch::Contains("beyond the last id"));
  const std::vector<IdMapping> map{{0, 100000, 10}, {20, 7, 1}};
  CHECK(host_id(map, 9) == 100009U);
  CHECK(host_id(map, 20) == 7U);
  CHECK_FALSE(host_id(map, 10));
}

TEST_CASE("U04: ids stay leased while the container's last supervisor still ends, and nobody waits for it",
          "[runner][ids]") {
  const test::TempFolder folder;
  const std::string run = folder.path() + "/run";
  const std::vector<IdMapping> map{{0, 100000, 10}};
  auto last = IdLease::keep(run, map, "same");
  const auto next = IdLease::keep(run, map, "same");
  last.clear();
  CHECK(next.size() == 1);
  CHECK(list_names(sys::open_dir(sys::cwd(), run + "/ids")).size() == 2);  // and the lock
}
