#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <thread>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/file_lock.h"
#include "base/remove_tree.h"
#include "temp_folder.h"

using namespace lay;
using test::TempFolder;

namespace {

std::string content(const TempFolder& folder, const std::string& name) {
  return sys::read_all(sys::open_at(folder.fd(), name, O_RDONLY), 1 << 20);
}

void write_file(const UniqueFd& dir, const std::string& name, std::string_view text) {
  sys::write_all(sys::open_at(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600), text);
}

}  // namespace

TEST_CASE("what finds no room on a full file system is told by its whole path", "[base][files]") {
  const TempFolder folder;
  const std::string disk = folder.path() + "/disk";
  sys::mkdir_at(folder.fd(), "disk", 0700);
  REQUIRE(::mount("tmpfs", disk.c_str(), "tmpfs", 0, "nr_inodes=2") == 0);
  {
    const UniqueFd dir = sys::open_dir(folder.fd(), "disk");
    write_file(dir, "last", "");
    CHECK_THROWS_WITH(sys::mkdir_at(dir, "new", 0700), Catch::Contains("'" + disk + "/new': No space left"));
    CHECK_THROWS_WITH(write_file(dir, "new", ""), Catch::Contains("'" + disk + "/new': No space left"));
  }
  REQUIRE(::umount2(disk.c_str(), MNT_DETACH) == 0);
}

TEST_CASE("an atomic file replaces its target only when committed", "[base][files]") {
  const TempFolder folder;
  replace_file(folder.fd(), "name", "old");
  {
    AtomicFile file(folder.fd(), "name");
    file.write("half");
  }
  CHECK(content(folder, "name") == "old");
  replace_file(folder.fd(), "name", "new");
  CHECK(content(folder, "name") == "new");
  int entries = 0;
  for (const char* name : {"name"}) entries += sys::try_stat_at(folder.fd(), name) ? 1 : 0;
  CHECK(entries == 1);
  CHECK(::rmdir(folder.path().c_str()) != 0);
  sys::unlink_at(folder.fd(), "name");
  CHECK(::rmdir(folder.path().c_str()) == 0);  // so no temporary file was left either
}

TEST_CASE("an exclusive lock is refused while somebody holds it and free after", "[base][files]") {
  const TempFolder folder;
  auto held = FileLock::try_acquire(folder.fd(), "lock", LockMode::shared);
  REQUIRE(held);
  CHECK(FileLock::try_acquire(folder.fd(), "lock", LockMode::shared));
  CHECK_FALSE(FileLock::try_acquire(folder.fd(), "lock", LockMode::exclusive));
  held.reset();
  CHECK(FileLock::try_acquire(folder.fd(), "lock", LockMode::exclusive));
}

TEST_CASE("removing a tree takes every kind of entry and follows no symlink", "[base][files]") {
  const TempFolder folder;
  const TempFolder canary;
  write_file(canary.fd(), "precious", "x");
  sys::mkdir_at(folder.fd(), "tree", 0700);
  const UniqueFd tree = sys::open_dir(folder.fd(), "tree");
  sys::symlink_at(canary.path(), tree, "link");
  sys::mknod_at(tree, "fifo", S_IFIFO | 0600, 0);
  sys::mkdir_at(tree, "locked", 0000);
  sys::mkdir_at(tree, "locked/deeper", 0700);
  write_file(tree, "locked/deeper/file", "y");
  remove_tree(folder.fd(), "tree");
  CHECK_FALSE(sys::try_stat_at(folder.fd(), "tree"));
  CHECK(content(canary, "precious") == "x");
  CHECK_NOTHROW(remove_tree(folder.fd(), "never was"));
}

TEST_CASE("a tree is removed that is deeper than a process may have files open", "[base][files]") {
  const TempFolder temp;
  constexpr int kDepth = 3000;
  UniqueFd folder = sys::open_dir(sys::cwd(), temp.path());
  for (int level = 0; level < kDepth; ++level) {
    sys::mkdir_at(folder, "d", 0755);
    sys::open_at(folder, "file", O_WRONLY | O_CREAT, 0644);
    folder = sys::open_at(folder, "d", O_RDONLY | O_DIRECTORY);
  }
  folder = UniqueFd();
  ::rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const ::rlimit few{.rlim_cur = 256, .rlim_max = before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  const UniqueFd root = sys::open_dir(sys::cwd(), temp.path());
  CHECK_NOTHROW(remove_tree(root, "d"));
  CHECK(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK_FALSE(sys::try_stat_at(root, "d"));
}

TEST_CASE("a folder that somebody still works in is removed all the same", "[base]") {
  const TempFolder folder;
  for (int round = 0; round < 50; ++round) {
    lay::sys::mkdir_at(folder.fd(), "tree", 0700);
    const lay::UniqueFd tree = lay::sys::open_dir(folder.fd(), "tree");
    const std::jthread worker([&] {
      for (int i = 0; i < 200; ++i) {
        const std::string name = "f" + std::to_string(i);
        if (!lay::sys::try_stat_at(folder.fd(), "tree")) return;
        if (const int fd = ::openat(tree.get(), name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600); fd >= 0)
          ::close(fd);
      }
    });
    remove_tree(folder.fd(), "tree");
    CHECK_FALSE(lay::sys::try_stat_at(folder.fd(), "tree"));
  }
}

TEST_CASE("removing a tree stops before what is mounted inside it", "[base][files]") {
  const TempFolder folder;
  const TempFolder canary;
  write_file(canary.fd(), "precious", "x");
  sys::mkdir_at(folder.fd(), "tree", 0700);
  sys::mkdir_at(folder.fd(), "tree/mnt", 0700);
  const pid_t child = ::fork();
  if (child == 0) {  // a mount namespace of its own: the host never sees the mount
    const bool ready =
        ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
        ::mount(canary.path().c_str(), (folder.path() + "/tree/mnt").c_str(), nullptr, MS_BIND, nullptr) == 0;
    if (!ready) ::_exit(3);
    try {
      remove_tree(folder.fd(), "tree");
    } catch (const Error& error) {
      ::_exit(error.code() == Errc::busy ? 0 : 2);
    }
    ::_exit(1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(content(canary, "precious") == "x");
}

TEST_CASE("paths are resolved inside a root, never beyond it", "[base][files]") {
  const TempFolder root;
  const TempFolder canary;
  write_file(canary.fd(), "precious", "x");
  sys::symlink_at(canary.path(), root.fd(), "absolute");
  sys::symlink_at("../../../../../../../../" + canary.path(), root.fd(), "relative");
  CHECK_FALSE(sys::try_open_in_root(root.fd(), "absolute/precious", O_RDONLY));
  CHECK_FALSE(sys::try_open_in_root(root.fd(), "relative/precious", O_RDONLY));
  CHECK_THROWS_AS(sys::open_beneath(root.fd(), "absolute/precious", O_RDONLY), Error);
  CHECK_THROWS_AS(sys::open_beneath(root.fd(), "../" + canary.path(), O_RDONLY), Error);
}

TEST_CASE("extended attributes are read through any kind of descriptor", "[base][files]") {
  const TempFolder folder;
  write_file(folder.fd(), "file", "");
  const UniqueFd path_only = sys::open_at(folder.fd(), "file", O_PATH | O_NOFOLLOW);
  const std::string large(2000, 'v');
  sys::set_xattr(path_only, "trusted.small", "v");
  sys::set_xattr(path_only, "user.large", large);
  CHECK(sys::get_xattr(path_only, "trusted.small") == "v");
  CHECK(sys::get_xattr(path_only, "user.large") == large);
  CHECK_FALSE(sys::get_xattr(path_only, "user.absent"));
  CHECK(sys::list_xattrs(path_only).size() == 2);
}
