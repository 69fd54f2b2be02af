#include "tar/foreign_archive.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "base/error.h"
#include "base/stream.h"
#include "temp_folder.h"

using namespace lay;
using namespace lay::layerstore;
using test::TempFolder;

namespace {

/// Runs a shell line in the folder.
void shell(const TempFolder& folder, const std::string& line) {
  REQUIRE(std::system(fmt::format("cd '{}' && {}", folder.path(), line).c_str()) == 0);
}

void make_tree(const TempFolder& folder) {
  shell(folder,
        "mkdir -p in/dir && echo text >in/dir/file && ln in/dir/file in/hard && ln -s dir/file in/link && "
        "mkfifo in/pipe"
        " && mknod in/null c 1 3 && chmod 4711 in/dir/file && chown 1234:70000 in/dir && touch -d 1970-01-05 "
        "in/link -h"
        " && printf x >\"in/$(printf 'n\\377\\303\\266')\" && truncate -s 1M in/sparse && echo end "
        ">>in/sparse");
}

void rewrite(const TempFolder& folder, const std::string& from, const std::string& to) {
  const UniqueFd in = sys::open_at(folder.fd(), from, O_RDONLY);
  const UniqueFd out = sys::open_at(folder.fd(), to, O_WRONLY | O_CREAT, 0600);
  FdSource source(in);
  FdSink sink(out);
  rewrite_foreign_archive(source, sink);
}

/// Unpacked by GNU tar, what was in comes out: every listing line of `find` is the same.
void check_same_tree(const TempFolder& folder, const std::string& archive) {
  rewrite(folder, archive, "out.tar");
  shell(folder, "rm -rf out && mkdir out && tar -C out --same-owner -xpf out.tar");
  const std::string list =
      "find . -mindepth 1 ! -type d -printf '%p %y %m %U:%G %l %n %T@\\n' | cut -d. -f1-2 | LC_ALL=C sort";
  shell(folder, "(cd in && " + list + ") >in.list; (cd out && " + list + ") >out.list; cmp in.list out.list");
  shell(folder, "cmp in/sparse out/sparse && cmp in/hard out/dir/file");
}

}  // namespace

TEST_CASE("a tar in xz or bzip2 becomes a layer tar of the same tree", "[layerstore][foreign]") {
  const TempFolder folder;
  make_tree(folder);
  shell(folder, "tar -C in --sparse --format=pax -cf a.tar . && xz -k a.tar && bzip2 -k a.tar");
  check_same_tree(folder, "a.tar.xz");
  check_same_tree(folder, "a.tar.bz2");
}

TEST_CASE("a cut off archive is corrupt", "[layerstore][foreign]") {
  const TempFolder folder;
  make_tree(folder);
  shell(folder, "tar -C in -cf a.tar . && xz -k a.tar && head -c 400 a.tar.xz >cut.xz");
  try {
    rewrite(folder, "cut.xz", "out.tar");
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::corrupt);
  }
}

TEST_CASE("only what is no layer as it stands is rewritten", "[layerstore][foreign]") {
  const auto is_foreign = [](std::string_view text) {
    return is_foreign_archive(std::as_bytes(std::span(text)));
  };
  using namespace std::string_view_literals;
  CHECK(
      is_foreign("\xfd"
                 "7zXZ\0\0\x04"sv));
  CHECK(is_foreign("BZh91AY"sv));
  CHECK_FALSE(is_foreign("\x1f\x8b\x08"sv));
  CHECK_FALSE(is_foreign("./"sv));
  CHECK_FALSE(is_foreign(""sv));
}
