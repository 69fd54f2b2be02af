#include "tar/tar_reader.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/stream.h"
#include "error_of.h"
#include "tar/layer_records.h"
#include "tar_builder.h"

namespace lay::layerstore {

namespace {

using test::error_of;
using test::pax_record;
using test::tar_end_mark;
using test::tar_file;
using test::tar_gnu_long;
using test::tar_header;
using test::tar_member;
using test::tar_pax;

std::vector<TarEntry> read_entries(const std::string& tar) {
  StringSource source(tar);
  TarReader reader(source);
  std::vector<TarEntry> entries;
  while (auto entry = reader.next()) entries.push_back(std::move(*entry));
  CHECK(reader.bytes() == tar.size());
  return entries;
}

TarEntry read_one(const std::string& members) {
  return read_entries(members + tar_end_mark()).at(0);
}

Errc failure_of(const std::string& tar) {
  return error_of([&] { read_entries(tar); }).code();
}

/// As failure_of, for members that a correct end follows.
Errc refusal_of(const std::string& members) {
  return failure_of(members + tar_end_mark());
}

/// The members, with an end, as an import takes them in.
std::string taken_in(const std::string& members) {
  const std::string tar = members + tar_end_mark();
  StringSource source(tar);
  StringSink out;
  const std::uint64_t bytes = copy_as_layer(source, out);
  CHECK(bytes == out.text().size());
  return out.text();
}

/// A sparse file of 9000 bytes in the pax format 1.0, named "real".
std::string sparse_file(const std::string& map, const std::string& data) {
  return tar_pax(pax_record("GNU.sparse.major", "1") + pax_record("GNU.sparse.minor", "0") +
                 pax_record("GNU.sparse.name", "real") + pax_record("GNU.sparse.realsize", "9000")) +
         tar_member({.name = "GNUSparseFile.0/real", .data = test::padded(map) + data});
}

/// `member` with bytes of its header replaced and the checksum mended.
std::string patched(const std::string& member, std::size_t at, const std::string& bytes) {
  std::string header = member.substr(0, 512);
  header.replace(at, bytes.size(), bytes);
  test::seal_header(header);
  return header + member.substr(512);
}

/// A sparse file in GNU's older format, named "old". `more`: the flag of the last block of the map, when it
/// shall promise another.
std::string old_sparse_file(const std::vector<std::pair<int, int>>& map, unsigned long long size,
                            const std::string& more) {
  std::string data;
  std::vector<std::string> numbers;
  for (const auto& [offset, count] : map) {
    numbers.push_back(test::octal(static_cast<unsigned long long>(offset), 11) + '\0' +
                      test::octal(static_cast<unsigned long long>(count), 11) + '\0');
    data += std::string(static_cast<std::size_t>(count), 'd');
  }
  std::string header =
      tar_header({.name = "old", .type = 'S', .size = data.size(), .magic = std::string("ustar  \0", 8)});
  std::string blocks;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (i < 4) {
      header.replace(386 + i * 24, 24, numbers[i]);
      continue;
    }
    if ((i - 4) % 21 == 0) {
      (i == 4 ? header[482] : blocks[blocks.size() - 8]) = '\1';
      blocks.append(512, '\0');
    }
    blocks.replace(blocks.size() - 512 + (i - 4) % 21 * 24, 24, numbers[i]);
  }
  if (!more.empty()) (blocks.empty() ? header[482] : blocks[blocks.size() - 8]) = '\1';
  header.replace(483, 11, test::octal(size, 11));
  test::seal_header(header);
  return header + blocks + test::padded(data);
}

}  // namespace

TEST_CASE("data is handed out whole and the rest of it is skipped", "[layerstore][tar]") {
  const std::string tar = tar_file("a", std::string(300000, 'a')) + tar_file("b", "b") + tar_end_mark();
  StringSource source(tar);
  TarReader reader(source);
  CHECK(reader.next()->size == 300000);
  CHECK(reader.read_data().size() > 0);
  CHECK(reader.next()->path == "b");
  CHECK(reader.read_data().size() == 1);
  CHECK(reader.read_data().empty());
  CHECK_FALSE(reader.next());
}

TEST_CASE("names of ustar, GNU and pax are read byte for byte", "[layerstore][tar]") {
  const std::string text = std::string(200, 'n') + "\xff\n\x1b";
  CHECK(read_one(patched(tar_file("name"), 345, "pre/fix")).path == "pre/fix/name");
  CHECK(read_one(tar_gnu_long('L', text + std::string(1, '\0')) + tar_file("cut")).path == text);
  CHECK(read_one(tar_gnu_long('K', text) + test::tar_symlink("s", "cut")).link == text);
  CHECK(read_one(tar_pax(pax_record("path", text)) + tar_file("cut")).path == text);
}

TEST_CASE("GNU headers have times where POSIX has a prefix", "[layerstore][tar]") {
  const std::string member = tar_member({.name = "name", .data = "x", .magic = std::string("ustar  \0", 8)});
  CHECK(read_one(patched(member, 345, "15000000000")).path == "name");
}

TEST_CASE("a tar without ustar's mark is read as version 7", "[layerstore][tar]") {
  const auto v7 = [](const std::string& name) {
    return read_one(tar_member({.name = name, .type = '\0', .magic = std::string(8, '\0')}));
  };
  CHECK(v7("file").type == EntryType::regular);
  CHECK(v7("folder/").type == EntryType::directory);
}

TEST_CASE("numbers are octal or base-256", "[layerstore][tar]") {
  CHECK(read_one(tar_member({.name = "f", .uid = "  1750 "})).uid == 1000);
  CHECK(read_one(tar_member({.name = "f", .uid = std::string("\x80\0\0\0\xff\xff\xff\xfe", 8)})).uid ==
        0xfffffffe);
  const std::string minus_five = std::string(11, '\xff') + '\xfb';
  CHECK(read_one(patched(tar_file("f"), 136, minus_five)).mtime.tv_sec == -5);
}

TEST_CASE("file type bits in a mode are cut off", "[layerstore][tar]") {
  CHECK(read_one(tar_member({.name = "f", .mode = 0104755})).mode == 04755);
}

TEST_CASE("a number outside its range is invalid", "[layerstore][tar]") {
  const std::string file = tar_file("f");
  CHECK(refusal_of(tar_member({.name = "f", .uid = std::string("\x80\0\0\0\xff\xff\xff\xff", 8)})) ==
        Errc::invalid);
  CHECK(refusal_of(tar_member({.name = "f", .uid = std::string(8, '\xff')})) == Errc::invalid);
  CHECK(refusal_of(tar_member({.name = "f", .uid = "0000009"})) == Errc::invalid);
  CHECK(refusal_of(tar_member({.name = "f", .uid = "00 0000"})) == Errc::invalid);
  CHECK(refusal_of(patched(file, 124, std::string(12, '\xff'))) == Errc::invalid);           // size -1
  CHECK(refusal_of(patched(file, 124, "\x80\1" + std::string(10, '\0'))) == Errc::invalid);  // size 2^80
  CHECK(refusal_of(patched(file, 136, std::string("\x80\0\0\0\x40\0\0\0\0\0\0\0", 12))) == Errc::invalid);
  CHECK(refusal_of(tar_member({.name = "n", .type = '3', .major = 4096})) == Errc::invalid);
  CHECK(refusal_of(tar_member({.name = "n", .type = '3', .minor = 0x100000})) == Errc::invalid);
  for (const char* time : {"nan", "1e9", "1.5x", "", "-", "99999999999999999999", "4611686018427387904"})
    CHECK(refusal_of(tar_pax(pax_record("mtime", time)) + file) == Errc::invalid);
  for (const char* uid : {"-1", "4294967295", "+1", " 1", "0x1"})
    CHECK(refusal_of(tar_pax(pax_record("uid", uid)) + file) == Errc::invalid);
}

TEST_CASE("fractions of seconds count upwards, before 1970 too", "[layerstore][tar]") {
  const auto time = [](const std::string& text) {
    return read_one(tar_pax(pax_record("mtime", text)) + tar_file("f")).mtime;
  };
  CHECK(time("1.5").tv_sec == 1);
  CHECK(time("1.5").tv_nsec == 500000000);
  CHECK(time("-1.25").tv_sec == -2);
  CHECK(time("-1.25").tv_nsec == 750000000);
  CHECK(time("-3").tv_sec == -3);
  CHECK(time("2.1234567891234").tv_nsec == 123456789);
}

TEST_CASE("sizes that disagree between the pax and the tar header are invalid", "[layerstore][tar]") {
  const std::string inner = tar_file("hidden");
  CHECK(refusal_of(tar_pax(pax_record("size", "1024")) + tar_header({.name = "f"}) + inner) == Errc::invalid);
  CHECK(refusal_of(tar_pax(pax_record("size", "0")) + tar_member({.name = "f", .data = inner})) ==
        Errc::invalid);
  CHECK(read_one(tar_pax(pax_record("size", "1")) + tar_file("f")).size == 1);
}

TEST_CASE("a malformed pax record is invalid", "[layerstore][tar]") {
  const auto* records =
      GENERATE("path=x\n", "9 path=x", "8 path=x\n", "99 path=x\n", "9 path x\n", "0 path=x\n", "-9 path=x\n",
               "5 =x\n", "9  path=x\n", "3 \n", "junk", "9999999999 path=x\n");
  CHECK(refusal_of(tar_pax(records) + tar_file("f")) == Errc::invalid);
}

TEST_CASE("a pax key that is given twice is invalid", "[layerstore][tar]") {
  CHECK(refusal_of(tar_pax(pax_record("path", "a") + pax_record("path", "b")) + tar_file("f")) ==
        Errc::invalid);
  CHECK(refusal_of(tar_pax(pax_record("SCHILY.xattr.user.x", "a") + pax_record("SCHILY.xattr.user.x", "b")) +
                   tar_file("f")) == Errc::invalid);
}

TEST_CASE("access lists given as text become attributes where a tar is taken in, and mean nothing in a layer",
          "[layerstore][tar]") {
  using namespace std::string_literals;
  const std::string none = "\xff\xff\xff\xff"s;
  const std::string list = "\2\0\0\0"s + "\1\0\6\0"s + none + "\2\0\4\0\xd2\4\0\0"s + "\4\0\4\0"s + none +
                           "\x8\0\6\0\x4d\0\0\0"s + "\x10\0\6\0"s + none + "\x20\0\0\0"s + none;
  const auto xattrs_of = [](const std::string& records) {
    return read_entries(taken_in(tar_pax(records) + tar_file("f"))).at(0).xattrs;
  };
  for (const std::string& text :
       {"user::rw-\nuser:1234:r--\ngroup::r--\ngroup:77:rw-\t#effective:r--\nmask::rw-\nother::---\n"s,
        "user::rw-,group::r--,other::---,user:daemon:r--:1234,group:77:rw-:77,mask::rw-"s,
        "u::rw-,g::r--,o:---,u:1234:r--,g:77:rw-,m:rw-"s}) {
    for (const auto& [key, name] :
         {std::pair("access", "system.posix_acl_access"), std::pair("default", "system.posix_acl_default")}) {
      const auto xattrs = xattrs_of(pax_record("SCHILY.acl."s + key, text));
      REQUIRE(xattrs.size() == 1);
      CHECK(xattrs[0].name == name);
      CHECK(xattrs[0].value == list);
    }
  }
  CHECK(xattrs_of(pax_record("SCHILY.acl.default", "")).empty());
  CHECK(read_one(tar_pax(pax_record("SCHILY.acl.access", "junk")) + tar_file("f")).xattrs.empty());
  CHECK(xattrs_of(pax_record("SCHILY.acl.ace", "owner@:rw:allow")).empty());
  const std::string text = pax_record("SCHILY.acl.access", "user::rwx,group::r-x,other::r-x");
  const std::string binary = pax_record("SCHILY.xattr.system.posix_acl_access", list);
  for (const std::string& both : {text + binary, binary + text}) {
    REQUIRE(xattrs_of(both).size() == 1);
    CHECK(xattrs_of(both)[0].value == list);
  }
}

TEST_CASE("attributes of a nested overlay are escaped where a tar is taken in", "[layerstore][tar]") {
  const std::string before = "SCHILY.xattr.trusted.overlay.";
  const std::string records = pax_record(before + "opaque", "y") + pax_record("mtime", "5") +
                              pax_record(before + "overlay.origin", "a=\nb") +
                              pax_record("SCHILY.xattr.user.overlay.overlay.x", "z");
  const auto xattrs = read_entries(taken_in(tar_pax(records) + tar_file("f"))).at(0).xattrs;
  REQUIRE(xattrs.size() == 3);
  CHECK(xattrs[0].name == "trusted.overlay.overlay.opaque");
  CHECK(xattrs[0].value == "y");
  CHECK(xattrs[1].name == "trusted.overlay.overlay.overlay.origin");
  CHECK(xattrs[1].value == "a=\nb");
  CHECK(xattrs[2].name == "user.overlay.overlay.x");
}

TEST_CASE("a tar without access lists as text is taken in as it is", "[layerstore][tar]") {
  const std::string members = tar_file("a", std::string(700, 'a')) + tar_pax(pax_record("mtime", "5.5")) +
                              tar_file("b") + tar_gnu_long('L', std::string(600, 'n')) + tar_file("c", "c") +
                              sparse_file("1\n0\n5\n", "data\n") +
                              old_sparse_file({{0, 4}, {512, 9}}, 600, "");
  CHECK((taken_in(members) == members + tar_end_mark()));
  const std::string listed = tar_pax(pax_record("path", "d/e") + pax_record("SCHILY.acl.default", "")) +
                             tar_file("cut", std::string(5, 'x'));
  const std::string plain = tar_pax(pax_record("path", "d/e")) + tar_file("cut", std::string(5, 'x'));
  const auto before = read_entries(taken_in(members + listed + members));
  const auto after = read_entries(members + plain + members + tar_end_mark());
  REQUIRE(before.size() == after.size());
  for (std::size_t i = 0; i < before.size(); ++i) CHECK(before[i].path == after[i].path);
}

TEST_CASE("an access list that cannot be understood is refused", "[layerstore][tar]") {
  const auto refusal = [](const std::string& text) {
    return error_of([&] { taken_in(tar_pax(pax_record("SCHILY.acl.access", text)) + tar_file("f")); }).code();
  };
  for (const char* text : {"junk", "user::rwz", "mask:5:r--", "user:1:r--:2:3", "user::", "a::r--"})
    CHECK(refusal(text) == Errc::invalid);
  CHECK(refusal("user::rw-,user:somebody:r--,group::r--,mask::r--,other::---") == Errc::unsupported);
  CHECK(refusal("user::rw-,user:4294967295:r--,group::r--,mask::r--,other::---") == Errc::unsupported);
}

TEST_CASE("a NUL within a name is invalid", "[layerstore][tar]") {
  const std::string nul("a\0b", 3);
  CHECK(refusal_of(tar_file(nul)) == Errc::invalid);
  CHECK(refusal_of(test::tar_symlink("s", nul)) == Errc::invalid);
  CHECK(refusal_of(tar_pax(pax_record("path", nul)) + tar_file("f")) == Errc::invalid);
  CHECK(refusal_of(tar_pax(pax_record("linkpath", nul)) + tar_file("f")) == Errc::invalid);
  CHECK(refusal_of(tar_gnu_long('L', nul) + tar_file("f")) == Errc::invalid);
}

TEST_CASE("several extended headers for one entry are invalid", "[layerstore][tar]") {
  const std::string pax = tar_pax(pax_record("path", "a"));
  const std::string gnu = tar_gnu_long('L', "b");
  CHECK(refusal_of(pax + pax + tar_file("f")) == Errc::invalid);
  CHECK(refusal_of(gnu + gnu + tar_file("f")) == Errc::invalid);
  CHECK(refusal_of(gnu + pax + tar_file("f")) == Errc::invalid);
  CHECK(refusal_of(pax + gnu + tar_file("f")) == Errc::invalid);
  CHECK(read_one(gnu + tar_gnu_long('K', "c") + test::tar_symlink("f", "d")).link == "c");
}

TEST_CASE("an extended header that belongs to no entry is invalid", "[layerstore][tar]") {
  CHECK(refusal_of(tar_pax(pax_record("path", "a"))) == Errc::invalid);
  CHECK(refusal_of(tar_gnu_long('L', "a")) == Errc::invalid);
  CHECK(refusal_of(tar_gnu_long('L', "") + tar_file("f")) == Errc::invalid);
}

TEST_CASE("an extended header above 1 MiB is refused without reading it", "[layerstore][tar]") {
  const auto type = GENERATE('x', 'g', 'L', 'K');
  CHECK(refusal_of(tar_header({.name = "h", .type = type, .size = 1 << 30})) == Errc::invalid);
}

TEST_CASE("a global pax header may only comment", "[layerstore][tar]") {
  CHECK(read_one(tar_pax(pax_record("comment", "made by git"), 'g') + tar_file("f")).path == "f");
  CHECK(refusal_of(tar_pax(pax_record("path", "evil"), 'g') + tar_file("f")) == Errc::invalid);
  CHECK(refusal_of(tar_pax(pax_record("uid", "0"), 'g') + tar_file("f")) == Errc::invalid);
}

TEST_CASE("entry types that readers treat differently are refused", "[layerstore][tar]") {
  const auto of_type = [](char type) { return refusal_of(tar_member({.name = "f", .type = type})); };
  CHECK(read_one(tar_member({.name = "f", .type = '7', .data = "x"})).type == EntryType::regular);
  for (const char type : {'8', 'A', 'D', 'M', 'V', 'X', 'z', '\x1b'}) CHECK(of_type(type) == Errc::invalid);
  CHECK(refusal_of(tar_file("file/")) == Errc::invalid);
}

TEST_CASE("a sparse file is read with its map, and its data without the holes", "[layerstore][tar]") {
  const std::string tar =
      sparse_file("3\n512\n4\n1024\n1\n9000\n0\n", "dataX") + tar_file("b") + tar_end_mark();
  StringSource source(tar);
  TarReader reader(source);
  const auto entry = reader.next();
  CHECK(entry->path == "real");
  CHECK(entry->size == 9000);
  CHECK((entry->regions == std::vector<DataRegion>{{512, 4}, {1024, 1}}));
  CHECK(reader.position() == 512 * 4);
  const auto data = reader.read_data();
  CHECK(std::string(reinterpret_cast<const char*>(data.data()), data.size()) == "dataX");
  CHECK(reader.next()->path == "b");
}

TEST_CASE("regions of a sparse file that touch are one", "[layerstore][tar]") {
  CHECK((read_one(sparse_file("3\n1\n2\n3\n0\n3\n2\n", "abcd")).regions == std::vector<DataRegion>{{1, 4}}));
  CHECK(read_one(sparse_file("0\n", "")).regions->empty());
}

TEST_CASE("a map of a sparse file that readers could take for another is invalid", "[layerstore][tar]") {
  for (const char* map : {"1\n0\n5\n", "1\n0\n3\n", "2\n0\n2\n1\n2\n", "2\n5\n2\n0\n2\n", "1\n8999\n4\n",
                          "1\n9001\n0\n1\n", "1\n+0\n4\n", "1\n 0\n4\n", "1\n-1\n4\n", "1\n0x0\n4\n",
                          "1\n\n4\n", "\n", "", "1\n0\n4\nx", "1\n0\n4\n\n", "1\n9223372036854775807\n4\n",
                          "1\n99999999999999999999\n4\n", "99999999999\n", "262145\n0\n4\n"}) {
    INFO(map);
    CHECK(refusal_of(sparse_file(map, "data")) == Errc::invalid);
  }
  std::string many = "200000\n";
  for (int i = 0; i < 200000; ++i) many += fmt::format("{}\n0\n", i);  // beyond 1 MiB
  CHECK(refusal_of(sparse_file(many, "")) == Errc::invalid);
}

TEST_CASE("what belongs to a sparse file has to be there, and to a file", "[layerstore][tar]") {
  const auto with = [](const std::string& records, char type = '0') {
    return refusal_of(tar_pax(records) +
                      tar_member({.name = "f", .type = type, .data = test::padded("0\n")}));
  };
  const std::string version = pax_record("GNU.sparse.major", "1") + pax_record("GNU.sparse.minor", "0");
  const std::string name = pax_record("GNU.sparse.name", "n");
  const std::string size = pax_record("GNU.sparse.realsize", "9");
  CHECK(with(version + name) == Errc::invalid);
  CHECK(with(version + size) == Errc::invalid);
  CHECK(with(version + name + pax_record("GNU.sparse.realsize", "-9")) == Errc::invalid);
  CHECK(with(version + pax_record("GNU.sparse.name", "") + size) == Errc::invalid);
  CHECK(with(name + size) == Errc::unsupported);
  CHECK(with(pax_record("GNU.sparse.major", "0") + pax_record("GNU.sparse.minor", "1") + name + size) ==
        Errc::unsupported);
  CHECK(with(version + name + size + pax_record("GNU.sparse.map", "0,1")) == Errc::unsupported);
  CHECK(refusal_of(tar_pax(version + name + size) + test::tar_folder("f/")) == Errc::invalid);
  CHECK(refusal_of(tar_pax(version + name + size, 'g') + tar_file("f")) == Errc::invalid);
  CHECK(refusal_of(tar_pax(version + name + size) + tar_file("f", "")) == Errc::invalid);
}

TEST_CASE("a sparse file of GNU's older form is read with its map", "[layerstore][tar]") {
  std::vector<std::pair<int, int>> map{{0, 2}, {512, 3}, {1024, 512}, {4096, 1}};
  CHECK(read_one(old_sparse_file(map, 5000, "")).regions->size() == 4);
  CHECK(read_one(old_sparse_file({}, 5000, "")).regions->empty());
  for (int i = 10; i < 60; ++i) map.emplace_back(i * 512, 2);
  const TarEntry entry = read_one(old_sparse_file(map, 40000, ""));
  CHECK(entry.path == "old");
  CHECK(entry.size == 40000);
  CHECK(entry.regions->size() == 54);
  CHECK(entry.regions->back() == DataRegion{59 * 512, 2});
}

TEST_CASE("a map of GNU's older form that readers could take for another is invalid", "[layerstore][tar]") {
  const std::string good = old_sparse_file({{0, 2}, {512, 3}}, 5000, "");
  CHECK(refusal_of(old_sparse_file({{512, 3}, {0, 2}}, 5000, "")) == Errc::invalid);
  CHECK(refusal_of(old_sparse_file({{0, 3}, {2, 2}}, 5000, "")) == Errc::invalid);
  CHECK(refusal_of(old_sparse_file({{0, 2}, {4999, 2}}, 5000, "")) == Errc::invalid);
  CHECK(refusal_of(patched(good, 257, std::string("ustar\00000", 8))) == Errc::invalid);
  CHECK(refusal_of(patched(good, 482, "x")) == Errc::invalid);
  CHECK(refusal_of(patched(good, 386, std::string(24, '\0'))) == Errc::invalid);  // a gap in the map
  CHECK(refusal_of(patched(good, 398, "00000000009")) == Errc::invalid);
  CHECK(refusal_of(patched(good, 398, "00000000007")) == Errc::invalid);            // not what is stored
  CHECK(refusal_of(patched(good, 483, std::string(12, '\xff'))) == Errc::invalid);  // size -1
  CHECK(refusal_of(tar_pax(pax_record("GNU.sparse.major", "1") + pax_record("GNU.sparse.minor", "0") +
                           pax_record("GNU.sparse.name", "n") + pax_record("GNU.sparse.realsize", "5000")) +
                   good) == Errc::invalid);
  const std::string longer = old_sparse_file(std::vector<std::pair<int, int>>(1, {0, 1}), 5000, "1");
  for (std::size_t length = 0; length <= longer.size(); length += 97)
    CHECK(failure_of(longer.substr(0, length)) == Errc::invalid);
}

TEST_CASE("a sparse file cut anywhere is invalid", "[layerstore][tar]") {
  const std::string file = sparse_file("2\n512\n4\n8000\n1000\n", std::string(1004, 'x'));
  for (std::size_t length = 0; length <= file.size(); length += 97)
    CHECK(failure_of(file.substr(0, length)) == Errc::invalid);
}

TEST_CASE("data behind an entry that is no file is invalid", "[layerstore][tar]") {
  const auto type = GENERATE('1', '2', '3', '4', '5', '6');
  CHECK(refusal_of(
            tar_member({.name = "f", .type = type, .data = tar_file("hidden"), .link = "x", .major = 1})) ==
        Errc::invalid);
}

TEST_CASE("a wrong checksum is invalid, a sum of signed bytes is not", "[layerstore][tar]") {
  std::string broken = tar_file("f");
  broken[0] = 'g';
  CHECK(refusal_of(broken) == Errc::invalid);
  std::string old = tar_file("\xff");
  int sum = 8 * ' ';
  for (std::size_t i = 0; i < 512; ++i)
    if (i < 148 || i >= 156) sum += static_cast<signed char>(old[i]);
  old.replace(148, 7, test::octal(static_cast<unsigned>(sum), 6) + std::string(1, '\0'));
  CHECK(read_one(old).path == "\xff");
}

TEST_CASE("a tar cut anywhere before its end mark is invalid", "[layerstore][tar]") {
  const std::string members = tar_pax(pax_record("mtime", "5")) + tar_file("a", std::string(1500, 'a')) +
                              test::tar_folder("d/") + tar_gnu_long('L', std::string(600, 'n')) +
                              tar_file("b");
  for (std::size_t length = 0; length <= members.size(); length += 97)
    CHECK(failure_of(members.substr(0, length)) == Errc::invalid);
  for (std::size_t length = 0; length <= members.size(); length += 512)
    CHECK(failure_of(members.substr(0, length)) == Errc::invalid);
}

TEST_CASE("a size that is only promised takes no memory", "[layerstore][tar]") {
  CHECK(failure_of(tar_header({.name = "f", .size = 1ULL << 32}) + "ten bytes.") == Errc::invalid);
}

TEST_CASE("entries after the end are read but never seen", "[layerstore][tar]") {
  CHECK(read_entries(tar_file("a") + tar_end_mark() + tar_file("b") + tar_end_mark()).size() == 1);
  CHECK(read_entries(tar_file("a") + tar_end_mark() + std::string(9000, '\0') + "odd").size() == 1);
  CHECK(read_entries(tar_file("a") + std::string(512, '\0')).size() == 1);
  CHECK(failure_of(tar_file("a") + std::string(512, '\0') + tar_file("b") + tar_end_mark()) == Errc::invalid);
}

TEST_CASE("what is wrong with an entry is told with its name, made printable", "[layerstore][tar]") {
  const Error error = error_of([] { read_one(tar_member({.name = "a\x1b[2J", .type = 'z'})); });
  CHECK(error.message() == "entry 'a\\x1b[2J': entries of type 'z' are not known");
}

TEST_CASE("what never was a tar is told from a tar that is damaged", "[layerstore][tar]") {
  const auto message_of = [](const std::string& tar) {
    return error_of([&] { read_entries(tar); }).message();
  };
  for (const char byte : {'x', '\x80', '7', '\xff'})
    CHECK_THAT(message_of(std::string(2048, byte)), Catch::StartsWith("it is no tar"));
  CHECK_THAT(message_of(tar_file("a") + std::string(2048, 'x')),
             Catch::Equals("a tar header's checksum is wrong"));
}

}  // namespace lay::layerstore
