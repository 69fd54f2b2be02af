#include "server/http/access_log.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::registry::server {

namespace {

constexpr std::size_t kMaxShown = 512;

std::string shown(const std::string& text) {
  return printable(std::string_view(text).substr(0, kMaxShown));
}

UniqueFd open_log(const std::string& path) {
  if (path == "none") return UniqueFd{};
  if (path == "-") return UniqueFd{::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)};
  return with_context("access log",
                      [&] { return sys::open_at(sys::cwd(), path, O_WRONLY | O_CREAT | O_APPEND, 0640); });
}

}  // namespace

std::string format_entry(const AccessEntry& entry) {
  Json json{{"time", format_time(entry.begun)},
            {"remote", entry.remote},
            {"method", shown(entry.method)},
            {"target", shown(entry.target)},
            {"status", entry.status},
            {"received", entry.received},
            {"sent", entry.sent},
            {"ms", static_cast<double>(entry.duration.count()) / 1000.0},
            {"agent", shown(entry.agent)}};
  if (!entry.user.empty()) json["user"] = shown(entry.user);
  if (!entry.is_whole) json["cut"] = true;
  return dump_json(json);
}

AccessLog::AccessLog(const std::string& path) : path_(path), fd_(open_log(path)) {}

void AccessLog::reopen() {
  if (!fd_ || path_ == "-") return;
  const UniqueFd fresh = open_log(path_);
  if (::dup3(fresh.get(), fd_.get(), O_CLOEXEC) < 0) throw Error::from_errno("access log '{}'", path_);
}

void AccessLog::write(const AccessEntry& entry) const {
  if (!fd_) return;
  const std::string line = format_entry(entry) + "\n";
  if (::write(fd_.get(), line.data(), line.size()) < 0) return;
}

}  // namespace lay::registry::server
