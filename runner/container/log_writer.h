#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "runner/lifecycle.h"

namespace lay::runner {

constexpr const char* kLogFile = "log";
constexpr const char* kOldLogFile = "log.1";

/// Writes a container's log, in two files of a limited size: the file "log" becomes "log.1" when
/// it is full, and what was "log.1" is gone.
class LogWriter {
 public:
  /// Goes on with what an earlier run has written. `dir` must outlive it.
  ///   max_bytes  of each of the two files
  LogWriter(const UniqueFd& dir, std::uint64_t max_bytes);

  /// A log that cannot be written (a full disk) must not stop the container: the first failure ends the log.
  void write(LogStream stream, std::string_view text) noexcept;
  /// Why the log has ended early; empty when it has not.
  const std::string& failure() const { return failure_; }

 private:
  void append(std::string_view lines);
  /// Of output at a time: so small that a line of it fits the file.
  std::size_t part_size() const { return static_cast<std::size_t>(max_bytes_ / 4); }

  const UniqueFd& dir_;
  std::uint64_t max_bytes_;
  UniqueFd file_;
  std::uint64_t size_ = 0;
  std::string failure_;
};

}  // namespace lay::runner
