#include <fcntl.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "base/error.h"
#include "in_child.h"
#include "rootfs/overlay.h"
#include "rootfs_fixture.h"
#include "temp_folder.h"

using namespace lay;
using namespace lay::runner;
using lay::test::ChildResult;

namespace {

/// `base` must have been opened in the mount namespace of the caller: the kernel takes no folder of another.
OverlayFolders open_test_folders(const UniqueFd& base, int layers) {
  OverlayFolders folders;
  for (int number = 0; number < layers; ++number)
    folders.lowers.push_back(sys::open_at(base, "layer" + std::to_string(number), O_PATH | O_DIRECTORY));
  folders.upper = sys::open_at(base, "upper", O_PATH | O_DIRECTORY);
  folders.work = sys::open_at(base, "work", O_PATH | O_DIRECTORY);
  folders.place = sys::open_at(base, ".", O_PATH | O_DIRECTORY);
  return folders;
}

void make_test_folders(const UniqueFd& base, int layers) {
  for (const char* name : {"upper", "work", "merged"}) test::put_folder(base, name);
  for (int number = 0; number < layers; ++number) {
    const std::string name = "layer" + std::to_string(number);
    test::put_folder(base, name);
    test::put_file(base, name + "/top", std::to_string(number));
  }
}

}  // namespace

TEST_CASE("both ways to mount an overlay give the same root with the same options", "[runner][rootfs]") {
  const OverlayApi api = GENERATE(OverlayApi::per_layer, OverlayApi::one_string);
  const test::TempFolder folder;
  make_test_folders(folder.fd(), 127);
  const ChildResult result = test::in_child(CLONE_NEWNS, [&] {
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    const std::string before = std::filesystem::current_path();
    const UniqueFd root = mount_overlay(open_test_folders(sys::open_dir(sys::cwd(), folder.path()), 127),
                                        Durability::volatile_, api);
    sys::mkdir_at(root, "made", 0755);
    const std::string line = test::mounts_naming(folder.path() + "/merged").at(0);
    std::string found = test::text_of(root, "top");
    for (const char* option : {"redirect_dir=nofollow", "nodev", "volatile"})
      found += line.find(option) == std::string::npos ? std::string(" no ") + option : "";
    for (const char* option : {"metacopy=on", "index=on", "xino=on", "xino=auto"})
      found += line.find(option) == std::string::npos ? "" : std::string(" ") + option;
    return found + (before == std::filesystem::current_path() ? "" : " moved");
  });
  CHECK(result.error == "");
  CHECK(result.text == "0");
  CHECK(sys::try_stat_at(folder.fd(), "upper/made"));
}

TEST_CASE("what the kernel says about an overlay it refuses reaches the error", "[runner][rootfs]") {
  const test::TempFolder folder;
  make_test_folders(folder.fd(), 1);
  const ChildResult result = test::in_child(CLONE_NEWNS, [&] {
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    OverlayFolders folders = open_test_folders(sys::open_dir(sys::cwd(), folder.path()), 1);
    for (int number = 0; number < 501; ++number)
      folders.lowers.push_back(sys::dup_fd(folders.lowers.front()));
    mount_overlay(folders, Durability::normal);
    return std::string();
  });
  CHECK(result.error.find("limit is 500") != std::string::npos);
}

TEST_CASE("an upper on an overlay is refused with a hint", "[runner][rootfs]") {
  const test::TempFolder folder;
  make_test_folders(folder.fd(), 1);
  const ChildResult result = test::in_child(CLONE_NEWNS, [&] {
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    const UniqueFd outer =
        mount_overlay(open_test_folders(sys::open_dir(sys::cwd(), folder.path()), 1), Durability::volatile_);
    make_test_folders(outer, 1);
    mount_overlay(open_test_folders(outer, 1), Durability::volatile_);
    return std::string();
  });
  CHECK(result.error.find("file system 'overlay'") != std::string::npos);
  CHECK(result.error.find("hint: the file system under lay's root cannot hold an upper folder") !=
        std::string::npos);
}
