#include "container/log_writer.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/error.h"
#include "base/syscalls.h"
#include "container/log_format.h"

namespace lay::runner {

namespace {

UniqueFd open_log(const UniqueFd& dir) {
  return sys::open_at(dir, kLogFile, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
}

}  // namespace

LogWriter::LogWriter(const UniqueFd& dir, std::uint64_t max_bytes)
    : dir_(dir),
      max_bytes_(max_bytes),
      file_(open_log(dir)),
      size_(static_cast<std::uint64_t>(sys::stat_of(file_).st_size)) {}

void LogWriter::write(LogStream stream, std::string_view text) noexcept {
  if (!failure_.empty()) return;
  try {
    const Time now = std::chrono::system_clock::now();
    for (; !text.empty(); text.remove_prefix(std::min(text.size(), part_size())))
      append(format_log(stream, text.substr(0, part_size()), now));
  } catch (const std::exception& error) {
    failure_ = std::string("the log ended early: ") + error.what();
  }
}

void LogWriter::append(std::string_view lines) {
  while (lines.size() > max_bytes_) {  // short lines grow by what is put before each
    const std::string_view part = lines.substr(0, lines.rfind('\n', max_bytes_ - 1) + 1);
    append(part);
    lines.remove_prefix(part.size());
  }
  if (size_ != 0 && size_ + lines.size() > max_bytes_) {
    sys::rename_at(dir_, kLogFile, dir_, kOldLogFile);
    file_ = open_log(dir_);
    size_ = 0;
  }
  sys::write_all(file_, lines);
  size_ += lines.size();
}

}  // namespace lay::runner
