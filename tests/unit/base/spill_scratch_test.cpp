#include "base/spill_scratch.h"

#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "spill_all.h"

namespace lay {
namespace {

TEST_CASE("memory that is taken back is used again", "[base][spill]") {
  SpillScratch memory(test::spill_all());
  const std::string_view before = memory.keep(std::string_view("before"));
  const SpillScratch::Mark mark = memory.mark();
  std::size_t spilled = 0;
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 10'000; ++i) memory.keep(std::string(1000, 'x'));
    if (round == 0) spilled = memory.spilled();
    memory.rewind(mark);
  }
  CHECK(memory.spilled() == spilled);
  CHECK(memory.keep(std::string_view("after")) == "after");
  CHECK(before == "before");
}

TEST_CASE("what is asked for may be larger than a block", "[base][spill]") {
  SpillScratch memory(test::spill_all());
  const std::string large(1'000'000, 'x');
  const SpillScratch::Mark mark = memory.mark();
  memory.keep("small");
  CHECK(memory.keep(large) == large);
  memory.rewind(mark);
  CHECK(memory.keep(large) == large);
  CHECK(memory.keep("small") == "small");
}

}  // namespace
}  // namespace lay
