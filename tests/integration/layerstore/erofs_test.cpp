#include <fcntl.h>

#include <catch2/catch.hpp>
#include <string>

#include "base/error.h"
#include "base/syscalls.h"
#include "erofs/erofs_mount.h"
#include "erofs/erofs_reader.h"
#include "erofs/erofs_writer.h"
#include "erofs/tree_builder.h"
#include "error_of.h"
#include "overlay_fixture.h"
#include "tar_builder.h"

/// apply_to() compares the unpacked form of every tar with the mounted one.
namespace lay::layerstore {

namespace {

using test::apply_to;
using test::diff_of;
using test::error_of;
using test::OverlayFixture;
using test::run_in;
using test::tar_end_mark;
using test::tar_file;

void check_tree(const std::string& script) {
  const OverlayFixture fixture;
  run_in(fixture.path("upper"), script);
  apply_to(fixture.path("layer"), diff_of(fixture.path("upper"), TreeKind::plain));
  CHECK(test::tree_difference(fixture.path("layer"), fixture.path("upper")) == "");
}

}  // namespace

TEST_CASE("every kind of entry looks the same mounted and unpacked", "[layerstore][erofs]") {
  check_tree(
      "echo text > file; chmod 4755 file; mkdir -m 2770 folder; mkdir -m 1777 sticky; ln file folder/hard\n"
      "mkfifo pipe; mknod null c 1 3; mknod disk b 259 1048575; mknod big c 4095 300; ln -s ../there link\n"
      "chown 70000:4294967294 file; chown 2097153:65534 folder; chown -h 12345678:1 link\n"
      "touch -d '1901-12-14 00:00:01' file; touch -d '2446-05-10 00:00:00' sticky; touch -h -d @0 link\n"
      "setfattr -n user.note -v text file; setfattr -n trusted.key -v '' folder\n"
      "setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 file\n"
      ": > empty; printf x > one; head -c 512 /dev/urandom > block; head -c 513 /dev/urandom > more\n"
      "head -c 5000000 /dev/urandom > large");
}

TEST_CASE("POSIX ACLs look the same mounted and unpacked", "[layerstore][erofs]") {
  check_tree(
      "mkdir folder; : > file; setfacl -m u:1000:rwx,g:70000:r file; "
      "setfacl -m d:u:1000:rwx,d:g:2000:r-x folder");
}

TEST_CASE("folders of any size and names of any bytes look the same mounted and unpacked",
          "[layerstore][erofs]") {
  check_tree(
      "mkdir none one many long odd\n: > one/a\n"
      "cd many; seq -f 'name-%05g' 5000 | xargs touch; cd ..\n"
      "for c in a b c d e f; do : > long/$(printf \"$c%.0s\" $(seq 255)); done\n"
      "cd odd; touch -- - '!' '-x' '.a' '..b' '...' \"$(printf 'new\\nline')\" \"$(printf '\\377\\376')\" "
      "'back\\slash' "
      "A a \"$(printf 'u\\314\\210')\" \"$(printf '\\303\\274')\" ' '\n"
      "for i in $(seq 1 40); do mkdir -p fill-$i; for j in $(seq 1 $i); do : > fill-$i/file-$j; done; done");
}

TEST_CASE("symlinks of every length look the same mounted and unpacked", "[layerstore][erofs]") {
  check_tree(
      "for n in 1 2 100 101 383 384 385 440 448 449 511 512 513 1024 4094 4095; do "
      "ln -s $(head -c $n /dev/zero | tr '\\0' x) link-$n; done");
}

TEST_CASE("attributes up to what a file can have look the same mounted and unpacked", "[layerstore][erofs]") {
  // tmpfs and ext4 hold less; the mounted form is compared with what the tar says
  std::string members;
  for (const std::size_t size : {0U, 1U, 3U, 4U, 500U, 512U, 4000U, 65535U})
    members += test::tar_pax(test::pax_record("SCHILY.xattr.trusted.key", std::string(size, 'v')) +
                             test::pax_record("SCHILY.xattr.user." + std::string(250, 'n'), "x")) +
               tar_file("file-" + std::to_string(size));
  const std::string tar = members + tar_end_mark();
  StringSource source(tar);
  const IndexedLayer indexed = index_layer(source);
  StringSink image;
  write_erofs(indexed.tree, tar.size(), image);
  const test::TempFolder temp;
  const UniqueFd image_file = sys::open_at(temp.fd(), "image", O_RDWR | O_CREAT, 0600);
  const UniqueFd tar_fd = sys::open_at(temp.fd(), "tar", O_RDWR | O_CREAT, 0600);
  sys::write_all(image_file, image.text());
  sys::write_all(tar_fd, tar);
  const UniqueFd mount = mount_erofs(image_file, tar_fd);
  for (const std::size_t size : {0U, 1U, 3U, 4U, 500U, 512U, 4000U, 65535U}) {
    const UniqueFd file = sys::open_at(mount, "file-" + std::to_string(size), O_RDONLY);
    CHECK(sys::get_xattr(file, "trusted.key")->size() == size);
    CHECK(sys::get_xattr(file, "user." + std::string(250, 'n')) == "x");
  }
}

TEST_CASE("what exceeds the mounted form is told as unsupported", "[layerstore][erofs]") {
  std::string records;
  for (int i = 0; i < 5; ++i)
    records += test::pax_record("SCHILY.xattr.trusted.k" + std::to_string(i), std::string(60000, 'v'));
  const std::string tar = test::tar_pax(records) + tar_file("file") + tar_end_mark();
  StringSource source(tar);
  const IndexedLayer indexed = index_layer(source);
  StringSink image;
  CHECK(error_of([&] { write_erofs(indexed.tree, tar.size(), image); }).code() == Errc::unsupported);
  CHECK(error_of([&] { write_erofs(indexed.tree, std::uint64_t{1} << 41U, image); }).code() ==
        Errc::unsupported);
}

TEST_CASE("a layer beyond 4 GiB is read at the right place", "[layerstore][erofs]") {
  // The tar is mostly a hole: only headers and the ends of the files are written.
  constexpr std::uint64_t kSize = (std::uint64_t{5} << 30U) + 3;
  TreeBuilder builder;
  builder.add({.path = "large", .mode = 0644, .size = kSize}, 512);
  const std::uint64_t second = 512 + (kSize + 511) / 512 * 512 + 512;
  builder.add({.path = "after", .mode = 0644, .size = 5}, second);
  const std::uint64_t end = second + 512;
  StringSink image;
  write_erofs(builder.finish(), end, image);
  const test::TempFolder temp;
  const UniqueFd image_file = sys::open_at(temp.fd(), "image", O_RDWR | O_CREAT, 0600);
  const UniqueFd tar = sys::open_at(temp.fd(), "tar", O_RDWR | O_CREAT, 0600);
  sys::write_all(image_file, image.text());
  sys::ftruncate(tar, end);
  const auto put = [&](std::uint64_t at, std::string_view text) {
    sys::pwrite_some(tar, std::as_bytes(std::span(text)), at);
  };
  put(512 + kSize - 3, "end");
  put(second, "hello");
  const UniqueFd mount = mount_erofs(image_file, tar);
  const auto read_at = [&](const std::string& name, std::uint64_t at) {
    std::string text(8, '\0');
    const UniqueFd file = sys::open_at(mount, name, O_RDONLY);
    text.resize(sys::pread_some(file, std::as_writable_bytes(std::span(text)), at));
    return text;
  };
  CHECK(read_at("large", kSize - 3) == "end");
  CHECK(read_at("after", 0) == "hello");
  CHECK(read_erofs(image.text(), end).inodes.size() == 3);
}

TEST_CASE("a flipped bit in an image is refused or shows a good tree, and never harms the reader",
          "[layerstore][erofs]") {
  const std::string tar = test::tar_folder("d/") + tar_file("d/a", "data") + test::tar_symlink("l", "d/a") +
                          test::tar_hard_link("h", "d/a") + tar_end_mark();
  StringSource source(tar);
  const IndexedLayer indexed = index_layer(source);
  StringSink sink;
  write_erofs(indexed.tree, tar.size(), sink);
  int refused = 0;
  for (std::size_t at = 1024; at < sink.text().size(); ++at) {
    std::string image = sink.text();
    image[at] = static_cast<char>(image[at] ^ 0x11);
    try {
      read_erofs(image, tar.size());
    } catch (const Error& error) {
      CHECK(error.code() == Errc::corrupt);
      ++refused;
    }
  }
  CHECK(refused > 150);  // the rest are owners, times and the like
  for (std::size_t size = 0; size < sink.text().size(); size += 13)
    CHECK(error_of([&] { read_erofs(sink.text().substr(0, size), tar.size()); }).code() == Errc::corrupt);
}

}  // namespace lay::layerstore
