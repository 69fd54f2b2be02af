#include "network/host_sysctl.h"

#include <fcntl.h>

#include "base/error.h"
#include "base/syscalls.h"

namespace lay::runner {

namespace {

std::string path_of(const std::string& name) {
  return "/proc/sys/net/" + name;
}

}  // namespace

std::optional<std::string> read_setting(const std::string& name) {
  const std::optional<UniqueFd> file = sys::try_open_at(sys::cwd(), path_of(name), O_RDONLY);
  if (!file) return std::nullopt;
  std::string value = sys::read_all(*file, 4096);
  if (!value.empty() && value.back() == '\n') value.pop_back();
  return value;
}

void write_setting(const std::string& name, const std::string& value) {
  const UniqueFd file = sys::open_at(sys::cwd(), path_of(name), O_WRONLY);
  with_context("set " + path_of(name), [&] { sys::write_all(file, value); });
}

bool try_write_setting(const std::string& name, const std::string& value) {
  const std::optional<UniqueFd> file = sys::try_open_at(sys::cwd(), path_of(name), O_WRONLY);
  if (!file) return false;
  with_context("set " + path_of(name), [&] { sys::write_all(*file, value); });
  return true;
}

}  // namespace lay::runner
