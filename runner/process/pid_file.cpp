#include "process/pid_file.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <filesystem>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::runner {

namespace {

UniqueFd open_pid_folder(const std::string& path) {
  return with_context(fmt::format("pid file '{}'", printable(path)), [&] {
    return sys::open_at(sys::cwd(), std::filesystem::absolute(path).parent_path().string(),
                        O_RDONLY | O_DIRECTORY);
  });
}

}  // namespace

void require_pid_folder(const std::string& path) {
  if (!path.empty()) static_cast<void>(open_pid_folder(path));
}

void write_pid_file(const std::string& path, pid_t pid) {
  const UniqueFd folder = open_pid_folder(path);
  with_context(fmt::format("pid file '{}'", printable(path)), [&] {
    AtomicFile written(folder, std::filesystem::path(path).filename().string(), 0644);
    written.write(std::to_string(pid));
    written.publish();
  });
}

}  // namespace lay::runner
