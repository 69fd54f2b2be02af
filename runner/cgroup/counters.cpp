#include "cgroup/counters.h"

#include <fcntl.h>

#include <cerrno>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::runner {

namespace {

constexpr std::size_t kMaxFile = 1024 * 1024;

}  // namespace

std::optional<std::string> try_read(const std::vector<CgroupGroup>& groups, CgroupVersion version,
                                    const char* file) {
  for (const CgroupGroup& group : groups) {
    if (group.hierarchy.version != version) continue;
    const auto fd = sys::try_open_at(group.dir, file, O_RDONLY);
    if (!fd) continue;
    try {
      return sys::read_all(*fd, kMaxFile);
    } catch (const Error& error) {
      if (error.error_number() != ENODEV && error.error_number() != EOPNOTSUPP) throw;
    }
  }
  return std::nullopt;
}

std::optional<std::string> try_read(const std::vector<CgroupGroup>& groups, const char* v1_file,
                                    const char* v2_file) {
  if (auto text = try_read(groups, CgroupVersion::v1, v1_file)) return text;
  return try_read(groups, CgroupVersion::v2, v2_file);
}

std::optional<std::uint64_t> number_of(const std::optional<std::string>& text) {
  return text ? parse_number(text->substr(0, text->find('\n'))) : std::nullopt;
}

std::optional<std::uint64_t> value_of(const std::optional<std::string>& text, const std::string& key) {
  if (!text) return std::nullopt;
  for (const std::string& line : split(*text, '\n'))
    if (line.starts_with(key + " ")) return parse_number(std::string_view(line).substr(key.size() + 1));
  return std::nullopt;
}

}  // namespace lay::runner
