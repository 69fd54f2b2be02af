#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "server/content/repositories.h"

namespace lay::registry::server {

TEST_CASE("lists are lexical, and case counts only between names that are else alike", "[server]") {
  std::vector<std::string> names{"b", "A", "ab", "a", "B", "aB", "Ab", "a-b", "", "_", "ABC"};
  std::sort(names.begin(), names.end(), comes_before);
  CHECK(names == std::vector<std::string>{"", "_", "A", "a", "a-b", "Ab", "aB", "ab", "ABC", "B", "b"});
  CHECK_FALSE(comes_before("a", "a"));
}

}  // namespace lay::registry::server
