#include "base/shared_library.h"

#include <catch2/catch.hpp>

#include "error_of.h"

using namespace lay;
using lay::test::error_of;

TEST_CASE("a shared library that is not installed is named, with its purpose and package",
          "[base][shared_library]") {
  const Error error =
      error_of([] { const SharedLibrary missing("libmissing.so.9", "a thing of tests", "libmissing9"); });
  CHECK(error.code() == Errc::unsupported);
  CHECK(error.message().starts_with("a thing of tests needs libmissing.so.9: "));
  CHECK(error.hint() == "install it: apt-get install libmissing9");
}

TEST_CASE("a function that a shared library lacks is named", "[base][shared_library]") {
  const SharedLibrary library("libc.so.6", "everything", "libc6");
  int (*absolute)(int) = nullptr;
  library.load("abs", absolute);
  CHECK(absolute(-3) == 3);
  const Error error = error_of([&] { library.load("no_such_function", absolute); });
  CHECK(error.message() == "libc.so.6 lacks 'no_such_function'");
}

TEST_CASE("a shared library that lay can do without is absent, and so is a function of it",
          "[base][shared_library]") {
  CHECK(!SharedLibrary::try_open("libmissing.so.9", "libmissing9"));
  const std::optional<SharedLibrary> library = SharedLibrary::try_open("libc.so.6", "libc6");
  REQUIRE(library);
  int (*absolute)(int) = nullptr;
  CHECK_FALSE(library->try_load("no_such_function", absolute));
  CHECK(absolute == nullptr);
  REQUIRE(library->try_load("abs", absolute));
  CHECK(absolute(-3) == 3);
}
