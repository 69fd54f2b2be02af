#include "output/messages.h"

#include <cstdio>

namespace lay::cli {

void print_diagnostic(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
}

void print_error(const std::string& message, const std::string& hint) {
  std::fflush(stdout);
  print_diagnostic("lay: " + message + "\n");
  if (!hint.empty()) print_diagnostic("hint: " + hint + "\n");
}

void print_trouble(const Error& error) {
  print_error(error.message(), error.hint());
}

void print_note(const std::string& message) {
  print_diagnostic("lay: " + message + "\n");
}

}  // namespace lay::cli
