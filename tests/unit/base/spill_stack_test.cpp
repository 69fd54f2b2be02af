#include "base/spill_stack.h"

#include <catch2/catch.hpp>
#include <string>

#include "spill_all.h"

namespace lay {
namespace {

TEST_CASE("what came last goes first, with what was said of it", "[base][spill]") {
  SpillStack<int> stack(test::spill_all());
  for (int i = 0; i < 100'000; ++i) stack.push(std::to_string(i), i);
  CHECK(stack.pop() == std::pair(std::string("99999"), 99'999));
  stack.push("again", -1);
  CHECK(stack.pop() == std::pair(std::string("again"), -1));
  bool are_same = true;
  for (int i = 99'998; i >= 0; --i) are_same = are_same && stack.pop() == std::pair(std::to_string(i), i);
  CHECK(are_same);
  CHECK_FALSE(stack.pop());
}

}  // namespace
}  // namespace lay
