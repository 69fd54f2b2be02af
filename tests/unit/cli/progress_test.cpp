#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <functional>

#include "base/syscalls.h"
#include "output/progress_display.h"
#include "temp_folder.h"

using namespace lay;
using namespace lay::cli;

namespace {

/// What `body` writes to stderr, which is a file meanwhile.
std::string errors_of(const std::function<void()>& body) {
  const test::TempFolder temp;
  const UniqueFd before{::dup(STDERR_FILENO)};
  const UniqueFd file = sys::open_at(temp.fd(), "err", O_RDWR | O_CREAT, 0600);
  ::dup2(file.get(), STDERR_FILENO);
  body();
  std::fflush(stderr);
  ::dup2(before.get(), STDERR_FILENO);
  return sys::read_all(sys::open_at(temp.fd(), "err", O_RDONLY), 65536);
}

}  // namespace

TEST_CASE("off a terminal long work gives a line now and then", "[cli][progress]") {
  const auto work = [](std::chrono::milliseconds pause) {
    return errors_of([&] {
      const auto display = make_progress_display(pause);
      const auto task = display->begin("layer", 4000);
      task->advance(1000);
      task->advance(1000);
      task->done("done");
    });
  };
  CHECK(work(std::chrono::milliseconds(0)) ==
        "layer  1.00 kB of 4.00 kB\nlayer  2.00 kB of 4.00 kB\nlayer  done\n");
  CHECK(work(std::chrono::hours(1)) == "layer  done\n");
}
