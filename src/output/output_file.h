#pragma once

#include <optional>
#include <string>

#include "base/atomic_file.h"
#include "base/interruptible_stream.h"

namespace lay::cli {

/// Where a command writes a file that the user keeps: -o FILE, or stdout without it. A regular file appears
/// whole at commit(), or not at all, with owner and mode of the one that was there; not synced, since it can
/// be made again. Devices, fifos, and whatever has another name (a symlink leads to it, or a hard link) are
/// written as they are.
class OutputFile {
 public:
  /// `path` is empty for stdout. Throws invalid, with a hint, when that is a terminal.
  explicit OutputFile(const std::string& path);

  ByteSink& sink() { return *sink_; }
  /// Throws io when the last bytes could not be written.
  void commit();

 private:
  void open_file(const std::string& path);

  UniqueFd folder_;
  std::optional<AtomicFile> file_;
  UniqueFd direct_;  ///< stdout, what is written as it is, or file_
  std::optional<InterruptibleSink> sink_;
};

}  // namespace lay::cli
