#include "base/spill_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/syscalls.h"
#include "in_child.h"
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

TEST_CASE("what cannot be read back is said in words, and the process ends", "[base][spill]") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const UniqueFd said(ends[0]);
  UniqueFd stderr_of_child(ends[1]);
  const test::ChildResult result = test::in_child(0, [&] {
    ::dup2(stderr_of_child.get(), STDERR_FILENO);
    int file = -1;
    SpillMemory memory({.open_file =
                            [&] {
                              UniqueFd opened = test::open_memory_file();
                              file = opened.get();
                              return opened;
                            },
                        .bound = 0});
    const std::string_view text = memory.keep(std::string_view("text"));
    memory.page_out();
    if (::ftruncate(file, 0) != 0) return std::string("cannot cut the file");
    return std::string(text);
  });
  stderr_of_child.reset();
  CHECK(WIFEXITED(result.status));
  CHECK(WEXITSTATUS(result.status) == 1);
  CHECK_THAT(sys::read_all(said, 4096), Catch::Contains("cannot be read back") && Catch::Contains("hint: "));
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
