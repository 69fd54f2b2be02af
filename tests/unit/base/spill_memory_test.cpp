#include "base/spill_memory.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "spill_all.h"

namespace lay {
namespace {

constexpr std::size_t kCount = 300'000;

TEST_CASE("what is beyond the bound stays what it was and where it was", "[base][spill]") {
  SpillMemory memory(test::spill_all());
  SpillArray<std::uint64_t> numbers(memory);
  std::vector<std::string_view> texts;
  const std::uint64_t* const first = &numbers.push_back(0);
  for (std::uint64_t i = 1; i < kCount; ++i) {
    memory.count_use();
    numbers.push_back(i * i);
    if (i % 100 == 0) texts.push_back(memory.keep(std::to_string(i)));
  }
  CHECK(memory.spilled() >= kCount * sizeof(std::uint64_t));
  CHECK(first == &numbers[0]);
  memory.page_out();
  bool are_same = true;
  for (std::uint64_t i = 0; i < kCount; ++i) are_same = are_same && numbers[i] == i * i;
  for (std::size_t i = 0; i < texts.size(); ++i)
    are_same = are_same && texts[i] == std::to_string((i + 1) * 100);
  CHECK(are_same);
}

TEST_CASE("nothing is spilled up to the bound", "[base][spill]") {
  bool is_opened = false;
  SpillMemory memory({.open_file =
                          [&] {
                            is_opened = true;
                            return test::open_memory_file();
                          },
                      .bound = 1024 * 1024});
  for (int i = 0; i < 1000; ++i) memory.keep(std::string(1000, 'x'));
  CHECK_FALSE(is_opened);
  for (int i = 0; i < 1000; ++i) memory.keep(std::string(1000, 'x'));
  CHECK(is_opened);
}

TEST_CASE("a file that cannot grow is an error and no signal", "[base][spill]") {
  SpillMemory memory({.open_file =
                          [] {
                            UniqueFd file{::memfd_create("full", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
                            ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_GROW);
                            return file;
                          },
                      .bound = 0});
  CHECK_THROWS_AS(memory.keep(std::string_view("text")), Error);
}

TEST_CASE("on a read-only file system all stays in memory", "[base][spill]") {
  SpillMemory memory(
      {.open_file = []() -> UniqueFd { throw Error::from_number(EROFS, "open"); }, .bound = 0});
  CHECK(memory.keep(std::string_view("text")) == "text");
  CHECK(memory.keep(std::string_view("more")) == "more");
  CHECK(memory.spilled() == 0);
}

}  // namespace
}  // namespace lay
