#include "output/messages.h"

#include <fmt/format.h>

#include <cstdio>

namespace lay::cli {

void print_error(const std::string& message, const std::string& hint) {
  std::fflush(stdout);
  fmt::print(stderr, "lay: {}\n", message);
  if (!hint.empty()) fmt::print(stderr, "hint: {}\n", hint);
}

void print_note(const std::string& message) {
  fmt::print(stderr, "lay: {}\n", message);
}

}  // namespace lay::cli
