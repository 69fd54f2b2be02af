#include "flags/environment_flags.h"

#include <fcntl.h>

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "flags/options.h"

namespace lay::cli {

namespace {

constexpr std::size_t kMaxFile = 1U << 20U;
constexpr const char* kBlanks = " \t";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

/// As in docker's files: a value is taken to the end of its line, quotation marks too; "NAME" alone is the
/// value it has here; lines that begin with # are left out.
void put_line(std::vector<std::string>& env, std::string line) {
  if (line.ends_with('\r')) line.pop_back();
  line.erase(0, std::min(line.find_first_not_of(kBlanks), line.size()));
  if (line.empty() || line.front() == '#') return;
  const std::string name = line.substr(0, line.find('='));
  if (line.find('\0') != std::string::npos)  // where execve(2) would cut it
    throw Error::make(Errc::invalid, "'{}' holds a NUL", printable(line)).with_hint("write it as text");
  if (name.find_first_of(kBlanks) != std::string::npos)
    throw Error::make(Errc::invalid, "the name '{}' has a blank", printable(name)).with_hint("NAME=value");
  set_environment(env, line);
}

void put_file(std::vector<std::string>& env, const std::string& path) {
  const std::optional<UniqueFd> file = sys::try_open_at(sys::cwd(), path, O_RDONLY);
  if (!file)
    throw Error::make(Errc::not_found, "there is no file '{}'", printable(path))
        .with_hint("--env-file FILE, or -e NAME=value for one variable");
  std::string text = sys::read_all(*file, kMaxFile);
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  std::size_t number = 0;
  for (std::string& line : split(text, '\n')) {
    ++number;
    with_context(fmt::format("{}, line {}", printable(path), number),
                 [&] { put_line(env, std::move(line)); });
  }
}

}  // namespace

void EnvironmentFlags::add_to(Parser& parser) {
  parser.add_list("-e,--env", settings, "environment variable", "NAME=VALUE");
  parser.add_list("--env-file", files, "file with an environment variable in each line", "FILE");
}

void EnvironmentFlags::put_into(std::vector<std::string>& env) const {
  for (const std::string& file : files) put_file(env, file);
  for (const std::string& setting : settings) set_environment(env, setting);
}

}  // namespace lay::cli
