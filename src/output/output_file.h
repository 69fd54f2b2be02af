#pragma once

#include <optional>
#include <string>

#include "base/atomic_file.h"
#include "base/interruptible_stream.h"

namespace lay::cli {

/// Where a command writes a file that the user keeps: -o FILE, or stdout without it. A regular file with one
/// name, also at the end of symlinks, appears whole at commit() or not at all, with the owner and the
/// permissions of the one that was there; not synced, since it can be made again. All else is written as it
/// is, and what was in it is gone at once: devices, fifos, links of /proc, files with hard links, mounted
/// files, and those whose owner or permissions this user cannot give to another.
class OutputFile {
 public:
  /// `path` is empty for stdout. Throws invalid, with a hint, when that is a terminal. Waits for the reader
  /// of a fifo; throws cancelled when the user asks to stop meanwhile.
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
