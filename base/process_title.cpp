#include "base/process_title.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <span>

namespace lay {

namespace {

/// The bytes of all words, with the NUL behind each.
std::span<char>& command_line() {
  static constinit std::span<char> bytes;
  return bytes;
}

}  // namespace

void remember_command_line(int count, char** words) noexcept {
  if (count <= 0) return;
  char* end = words[0];
  for (int i = 0; i < count && words[i] == end; ++i) end += std::strlen(end) + 1;
  command_line() = {words[0], end};
}

void forget_caller() noexcept {
  std::ranges::fill(command_line(), '\0');
  for (char** entry = environ; *entry != nullptr; ++entry) std::memset(*entry, 0, std::strlen(*entry));
  *environ = nullptr;
}

void set_process_title(std::string_view title) noexcept {
  const std::span<char> bytes = command_line();
  if (bytes.empty()) return;
  // A last byte that is not NUL would tell the kernel that the title goes on in the environment
  const std::size_t length = std::min(title.size(), bytes.size() - 1);
  std::copy_n(title.begin(), length, bytes.begin());
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(length), bytes.end(), '\0');
}

}  // namespace lay
