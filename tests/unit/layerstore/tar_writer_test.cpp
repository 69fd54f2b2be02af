#include "tar/tar_writer.h"

#include <sys/sysmacros.h>

#include <catch2/catch.hpp>
#include <clocale>
#include <string>

#include "base/error.h"
#include "error_of.h"
#include "tar/tar_reader.h"

namespace lay::layerstore {

namespace {

TarEntry file_named(const std::string& path) {
  return {.path = path, .mode = 0644, .mtime = {.tv_sec = 1}};
}

/// What the library's own reader makes of a header.
TarEntry read_back(const TarEntry& entry) {
  const std::string tar = write_tar_header(entry) + std::string(tar_end());
  StringSource source(tar);
  return TarReader(source).next().value();
}

}  // namespace

TEST_CASE("a plain file takes one ustar header and nothing of pax", "[layerstore][tar]") {
  TarEntry entry = file_named("etc/passwd");
  entry.uid = 1000;
  entry.size = 10;
  const std::string header = write_tar_header(entry);
  REQUIRE(header.size() == 512);
  CHECK(header.substr(0, 11) == std::string("etc/passwd\0", 11));
  CHECK(header.substr(100, 8) == std::string("0000644\0", 8));
  CHECK(header.substr(108, 8) == std::string("0001750\0", 8));
  CHECK(header.substr(124, 12) == std::string("00000000012\0", 12));
  CHECK(header.substr(257, 8) == std::string("ustar\00000", 8));
  CHECK(header.substr(265, 64) == std::string(64, '\0'));  // no user or group names
}

TEST_CASE("a path up to 255 bytes with a slash in the right place needs no pax", "[layerstore][tar]") {
  const std::string path = std::string(155, 'a') + "/" + std::string(100, 'b');
  CHECK(write_tar_header(file_named(path)).size() == 512);
  CHECK(read_back(file_named(path)).path == path);
}

TEST_CASE("every name comes back byte for byte", "[layerstore][tar]") {
  const std::string path =
      GENERATE(as<std::string>(), std::string(101, 'x'), std::string(255, 'n'), std::string(4000, 'p'),
               "gr\xc3\xbc\xc3\x9f"
               "e",
               "bad\xff\xfe", "new\nline", "back\\slash", "\x1b[31mred", "u\xcc\x88", "A=B", "99 path=x\n",
               std::string(99, 'a') + "/" + std::string(101, 'b') + "/");
  CHECK(read_back(file_named(path + "z")).path == path + "z");
  TarEntry link = file_named("link");
  link.type = EntryType::symlink;
  link.link = path;
  CHECK(read_back(link).link == path);
}

TEST_CASE("only names that are not UTF-8 are marked as binary", "[layerstore][tar]") {
  const auto marked = [](const std::string& path) {
    return write_tar_header(file_named(path)).find("hdrcharset=BINARY") != std::string::npos;
  };
  CHECK_FALSE(marked("plain"));
  CHECK_FALSE(marked("\xe2\x82\xac \xf0\x9f\x98\x80"));
  CHECK(marked("\xff"));
  CHECK(marked("\xc0\xaf"));          // overlong
  CHECK(marked("\xed\xa0\x80"));      // a surrogate
  CHECK(marked("\xf4\x90\x80\x80"));  // beyond the last character
  CHECK(marked("cut short \xe2\x82"));
}

TEST_CASE("the bytes are the same under every locale", "[layerstore][tar]") {
  const TarEntry entry = file_named(
      "gr\xc3\xbc\xc3\x9f"
      "e");
  const std::string in_c = write_tar_header(entry);
  REQUIRE(std::setlocale(LC_ALL, "C.UTF-8") != nullptr);
  const std::string in_utf8 = write_tar_header(entry);
  std::setlocale(LC_ALL, "C");
  CHECK(in_c == in_utf8);
}

TEST_CASE("numbers that octal digits cannot hold come back", "[layerstore][tar]") {
  TarEntry entry = file_named("big");
  entry.uid = 4294967294;
  entry.gid = 2097152;
  entry.mtime.tv_sec = GENERATE(-1, -2000000000, 0, 4294967296, 9000000000);
  entry.size = 0;
  const TarEntry back = read_back(entry);
  CHECK(back.uid == entry.uid);
  CHECK(back.gid == entry.gid);
  CHECK(back.mtime.tv_sec == entry.mtime.tv_sec);
}

TEST_CASE("a size of 8 GiB and more is kept in pax", "[layerstore][tar]") {
  TarEntry entry = file_named("huge");
  entry.size = std::uint64_t{1} << 40U;
  CHECK(read_back(entry).size == entry.size);
}

TEST_CASE("extended attributes of any bytes come back in the order given", "[layerstore][tar]") {
  TarEntry entry = file_named("file");
  entry.xattrs = {{"security.capability", std::string("\1\0\0\2\n=\0", 7)}, {"user.empty", ""}};
  const TarEntry back = read_back(entry);
  REQUIRE(back.xattrs.size() == 2);
  CHECK(back.xattrs[0].name == "security.capability");
  CHECK(back.xattrs[0].value == entry.xattrs[0].value);
  CHECK(back.xattrs[1].name == "user.empty");
}

TEST_CASE("an extended attribute that a tar cannot name is unsupported", "[layerstore][tar]") {
  TarEntry entry = file_named("file");
  entry.xattrs = {{"user.a=b", "c"}};
  CHECK(test::error_of([&] { write_tar_header(entry); }).code() == Errc::unsupported);
}

TEST_CASE("device numbers of twelve and twenty bits come back", "[layerstore][tar]") {
  TarEntry entry = file_named("node");
  entry.type = EntryType::block;
  entry.device = gnu_dev_makedev(4095, 1048575);
  CHECK(read_back(entry).device == entry.device);
}

}  // namespace lay::layerstore
