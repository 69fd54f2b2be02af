#include "flags/setting_file.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::cli {

namespace {

constexpr std::size_t kMaxFile = 1U << 20U;
constexpr const char* kBlanks = " \t";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

/// A value is taken to the end of its line, quotation marks too.
void take_line(std::string line, const std::function<void(const std::string&)>& take) {
  if (line.ends_with('\r')) line.pop_back();
  line.erase(0, std::min(line.find_first_not_of(kBlanks), line.size()));
  if (line.empty() || line.front() == '#') return;
  const std::string name = line.substr(0, line.find('='));
  if (line.find('\0') != std::string::npos)  // where execve(2) would cut it
    throw Error::make(Errc::invalid, "'{}' holds a NUL", printable(line)).with_hint("write it as text");
  if (name.find_first_of(kBlanks) != std::string::npos)
    throw Error::make(Errc::invalid, "the name '{}' has a blank", printable(name)).with_hint("NAME=value");
  take(line);
}

}  // namespace

void read_setting_file(const char* flag, const std::string& path,
                       const std::function<void(const std::string& line)>& take) {
  const std::optional<UniqueFd> file = sys::try_open_at(sys::cwd(), path, O_RDONLY);
  if (!file)
    throw Error::make(Errc::not_found, "there is no file '{}'", printable(path))
        .with_hint(fmt::format("{} FILE; the flag for one setting is {}", flag,
                               std::string_view(flag) == "--env-file" ? "-e NAME=value" : "-l KEY=VALUE"));
  std::string text = sys::read_all(*file, kMaxFile);
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  std::size_t number = 0;
  for (std::string& line : split(text, '\n')) {
    ++number;
    with_context(fmt::format("{}, line {}", printable(path), number),
                 [&] { take_line(std::move(line), take); });
  }
}

}  // namespace lay::cli
