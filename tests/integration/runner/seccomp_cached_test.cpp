#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include "base/syscalls.h"
#include "security/seccomp_cache.h"
#include "security/seccomp_compile.h"
#include "temp_folder.h"

using namespace lay;
using namespace lay::runner;

namespace {

Seccomp rules(std::vector<std::string> names) {
  return {.default_action = SeccompAction::allow,
          .syscalls = {{.names = std::move(names), .action = SeccompAction::error, .errno_ret = 5}}};
}

bool is_same(const SeccompFilter& a, const SeccompFilter& b) {
  return a.flags == b.flags && a.program.size() == b.program.size() &&
         std::equal(a.program.begin(), a.program.end(), b.program.begin(),
                    [](const sock_filter& x, const sock_filter& y) {
                      return x.code == y.code && x.jt == y.jt && x.jf == y.jf && x.k == y.k;
                    });
}

std::vector<std::filesystem::path> files_in(const std::string& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  return files;
}

}  // namespace

TEST_CASE("a compiled seccomp profile is kept and taken again", "[runner][seccomp][cache]") {
  const test::TempFolder temp;
  const std::string folder = temp.path() + "/seccomp";
  const SeccompFilter expected = compile_seccomp(rules({"umask"}));
  CHECK(is_same(compile_seccomp_cached(rules({"umask"}), folder), expected));
  REQUIRE(files_in(folder).size() == 1);
  const auto before = std::filesystem::last_write_time(files_in(folder).front());
  CHECK(is_same(compile_seccomp_cached(rules({"umask"}), folder), expected));
  CHECK(std::filesystem::last_write_time(files_in(folder).front()) == before);
  CHECK_FALSE(is_same(compile_seccomp_cached(rules({"getpid"}), folder), expected));
  CHECK(files_in(folder).size() == 2);
}

TEST_CASE("a kept seccomp profile that is not whole is compiled again", "[runner][seccomp][cache]") {
  const test::TempFolder temp;
  const std::string folder = temp.path() + "/seccomp";
  const SeccompFilter expected = compile_seccomp_cached(rules({"umask"}), folder);
  const std::filesystem::path file = files_in(folder).front();
  const auto size = std::filesystem::file_size(file);
  for (const std::uint64_t cut : {size - 1, std::uint64_t{70}, std::uint64_t{0}}) {
    std::filesystem::resize_file(file, cut);
    CHECK(is_same(compile_seccomp_cached(rules({"umask"}), folder), expected));
    CHECK(std::filesystem::file_size(file) == size);
  }
  const UniqueFd spoilt = sys::open_at(sys::cwd(), file.string(), O_RDWR);
  const std::byte other{0x55};
  sys::pwrite_some(spoilt, std::span<const std::byte>(&other, 1), size - 1);  // still of the right length
  CHECK(is_same(compile_seccomp_cached(rules({"umask"}), folder), expected));
}

TEST_CASE("a folder that others can write to is no cache", "[runner][seccomp][cache]") {
  const test::TempFolder temp;
  const std::string folder = temp.path() + "/seccomp";
  std::filesystem::create_directory(folder);
  REQUIRE(::chmod(folder.c_str(), 0777) == 0);
  compile_seccomp_cached(rules({"umask"}), folder);
  CHECK(files_in(folder).empty());
}
