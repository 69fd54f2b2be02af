#include "resolve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "base/syscalls.h"
#include "temp_folder.h"

using namespace lay;
using sys::Bounds;
using test::TempFolder;

namespace {

/// A root with all that can stand in a path's way, beside a canary.
class Tree {
 public:
  Tree() {
    for (const char* folder : {"root", "canary", "root/a", "root/a/b"})
      sys::mkdir_at(temp_.fd(), folder, 0755);
    for (const char* file : {"canary/file", "root/file", "root/a/b/file"})
      sys::open_at(temp_.fd(), file, O_WRONLY | O_CREAT, 0644);
    root_ = sys::open_dir(temp_.fd(), "root");
    sys::symlink_at("a/b", root_, "relative");
    sys::symlink_at("/a/b", root_, "absolute");
    sys::symlink_at("../../../canary", root_, "above");
    sys::symlink_at(temp_.path() + "/canary", root_, "host");
    sys::symlink_at("absent", root_, "dangling");
    sys::symlink_at("loop", root_, "loop");
    sys::symlink_at("file/", root_, "file-as-folder");
    sys::symlink_at("relative/../..", root_, "up");
    ::mkfifoat(root_.get(), "fifo", 0600);
  }

  const UniqueFd& root() const { return root_; }
  const UniqueFd& outside() const { return temp_.fd(); }

 private:
  TempFolder temp_;
  UniqueFd root_;
};

/// Device and inode, or the error.
std::string outcome(int number) {
  if (number < 0) return std::strerror(errno);
  const UniqueFd fd{number};
  const struct ::stat info = sys::stat_of(fd);
  return fmt::format("{}:{}", info.st_dev, info.st_ino);
}

constexpr const char* kPaths[] = {
    "",          "/",           ".",
    "..",        "../canary",   "/..",
    "a",         "a/",          "a/.",
    "a/b/file",  "a/../file",   "a/b/../../file",
    "file",      "file/",       "file/.",
    "file/x",    "absent",      "absent/x",
    "relative",  "relative/",   "relative/file",
    "absolute",  "absolute/..", "absolute/file",
    "above",     "above/file",  "host",
    "host/file", "dangling",    "loop",
    "loop/x",    "fifo",        "file-as-folder",
    "up",        "up/file",     "a/b/../../../../file",
};

}  // namespace

TEST_CASE("P02: without openat2 a path leads where openat2 leads it, or to the same error",
          "[base][hostile]") {
  const Tree tree;
  for (const Bounds bounds : {Bounds::in_root, Bounds::beneath})
    for (const int flags : {O_PATH, O_PATH | O_NOFOLLOW, O_PATH | O_DIRECTORY, O_RDONLY | O_NONBLOCK,
                            O_RDONLY | O_NONBLOCK | O_NOFOLLOW, O_RDONLY | O_DIRECTORY | O_NOFOLLOW})
      for (const std::string path : kPaths) {
        CAPTURE(path, flags, bounds == Bounds::beneath);
        CHECK(outcome(sys::open_by_walk(tree.root(), path, flags, 0, bounds)) ==
              outcome(sys::open_resolved(tree.root(), path, flags, 0, bounds)));
      }
}

TEST_CASE("P02: without openat2 a file is made only inside, also where a symlink dangles",
          "[base][hostile]") {
  const Tree tree;
  const auto make = [&](const char* path, int flags) {
    return UniqueFd{sys::open_by_walk(tree.root(), path, O_WRONLY | O_CREAT | flags, 0600, Bounds::in_root)};
  };
  CHECK(make("a/new", O_EXCL));
  CHECK(sys::try_stat_at(tree.root(), "a/new"));
  CHECK_FALSE(make("a/new", O_EXCL));
  CHECK(make("dangling", 0));
  CHECK(sys::try_stat_at(tree.root(), "absent"));
  CHECK_FALSE(make("host/new", 0));
  CHECK_FALSE(sys::try_stat_at(tree.outside(), "canary/new"));
}

TEST_CASE("P02: without openat2 the magic links of /proc lead nowhere, and its ordinary ones work",
          "[base][hostile]") {
  const UniqueFd proc = sys::open_dir(sys::cwd(), "/proc");
  const auto walk = [&](const char* path) {
    return UniqueFd{sys::open_by_walk(proc, path, O_PATH, 0, Bounds::in_root)};
  };
  CHECK(walk("self/status"));
  CHECK(walk("mounts"));
  for (const char* magic : {"self/root", "self/cwd", "self/exe", "self/fd/0", "self/ns/mnt"}) {
    CAPTURE(magic);
    CHECK_FALSE(walk(magic));
  }
}

TEST_CASE("P02: without openat2 nothing that is swapped during a walk leads out of the root",
          "[base][hostile]") {
  const Tree tree;
  const std::string canary =
      outcome(sys::dup_fd(sys::open_at(tree.outside(), "canary/file", O_PATH)).release());
  std::atomic<bool> is_over = false;
  std::thread attacker([&] {
    while (!is_over) ::renameat2(tree.root().get(), "a", tree.root().get(), "above", RENAME_EXCHANGE);
  });
  int escapes = 0;
  for (int round = 0; round < 20000; ++round) {
    for (const char* path : {"a/file", "a/b/../../above/file"})
      if (outcome(sys::open_by_walk(tree.root(), path, O_RDONLY, 0, Bounds::in_root)) == canary) ++escapes;
  }
  is_over = true;
  attacker.join();
  CHECK(escapes == 0);
}
