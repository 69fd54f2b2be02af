#pragma once

#include <catch2/catch.hpp>
#include <stdexcept>
#include <utility>

#include "base/error.h"

namespace lay::test {

/// The lay::Error that `body` throws; the test fails when it throws none.
template <class Body>
Error error_of(Body&& body) {
  try {
    std::forward<Body>(body)();
  } catch (const Error& error) {
    return error;
  }
  FAIL("expected a failure, and there was none");
  throw std::logic_error("unreachable");
}

}  // namespace lay::test
