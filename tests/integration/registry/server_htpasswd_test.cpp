#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <vector>

#include "server/access/htpasswd.h"
#include "shell.h"
#include "temp_folder.h"

namespace lay::registry::server {

namespace {

std::string line_of(const std::string& user) {
  return test::shell("htpasswd -Bbn -C 4 " + user + " s3cret | head -n 1").output;
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path + ".new") << text;
  REQUIRE(::rename((path + ".new").c_str(), path.c_str()) == 0);
}

/// The shortest of a few tries: whatever else the machine does makes some longer.
std::chrono::duration<double> time_of(Htpasswd& users, const std::string& user, const std::string& password) {
  auto best = std::chrono::duration<double>::max();
  for (int i = 0; i < 5; ++i) {
    const auto begun = std::chrono::steady_clock::now();
    CHECK(!users.verify(user, password));
    best = std::min<std::chrono::duration<double>>(best, std::chrono::steady_clock::now() - begun);
  }
  return best;
}

}  // namespace

TEST_CASE("G08: a wrong password is refused in the same time whether its user is there or not",
          "[registry][server]") {
  const test::TempFolder folder;
  const std::string path = folder.path() + "/users";
  write_file(path, test::shell("htpasswd -Bbn -C 8 ann s3cret | head -n 1").output);
  Htpasswd users(path, [](const Error&) {});
  REQUIRE(users.verify("ann", "s3cret"));
  const double ratio = time_of(users, "nobody", "wrong") / time_of(users, "ann", "wrong");
  CHECK(ratio > 0.5);
  CHECK(ratio < 2);
  CHECK(!users.verify("ann", std::string("s3cret\0x", 8)));
  CHECK(!users.verify("ann", ""));
}

TEST_CASE("a password file that breaks while it is in use is reported once, and its users can still log in",
          "[registry][server]") {
  const test::TempFolder folder;
  const std::string path = folder.path() + "/users";
  const std::string ann = line_of("ann");
  write_file(path, ann);
  std::vector<Error> reports;
  Htpasswd users(path, [&](const Error& error) { reports.push_back(error); });
  const unsigned first = users.generation();

  write_file(path, ann + "bob\n");
  for (int i = 0; i < 3; ++i) CHECK(users.generation() == first);
  CHECK(users.verify("ann", "s3cret"));
  REQUIRE(reports.size() == 1);
  CHECK(reports[0].message() == "password file '" + path + "': line 2: expected USER:HASH");
  CHECK_THAT(reports[0].hint(), Catch::Contains("stay in force"));

  write_file(path, ann + "\n\nbob:{SHA}x\n");  // another change that breaks it
  for (int i = 0; i < 3; ++i) users.generation();
  CHECK(reports.size() == 2);
  REQUIRE(::unlink(path.c_str()) == 0);
  for (int i = 0; i < 3; ++i) CHECK(users.generation() == first);
  CHECK(reports.size() == 3);
  CHECK(users.verify("ann", "s3cret"));

  write_file(path, line_of("bob"));
  CHECK(users.generation() == first + 1);
  CHECK(!users.verify("ann", "s3cret"));
  CHECK(users.verify("bob", "s3cret"));
  CHECK(reports.size() == 3);
}

}  // namespace lay::registry::server
