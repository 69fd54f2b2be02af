#pragma once

#include <optional>
#include <string>

#include "base/atomic_file.h"
#include "base/interruptible_stream.h"

namespace lay::cli {

/// Where a command writes a file that the user keeps: -o FILE, or stdout without it. A regular file with one
/// name, also at the end of symlinks, appears whole at commit() or not at all, with the owner and the
/// permissions of the one that was there; not synced, since it can be made again. A file that none may take
/// the place of (it has other names, is mounted, or has an owner or permissions that this user cannot give to
/// another) is written over at commit(), with what was kept beside it without a name till then: once there is
/// room for all of it. Where nothing can be kept beside it, and for devices, fifos and all else, each byte is
/// written as it comes.
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
  UniqueFd direct_;                    ///< stdout, what is written as it is, file_, or what is kept beside
  std::optional<UniqueFd> overwrite_;  ///< at commit(), with direct_
  std::string path_;                   ///< of overwrite_
  std::optional<InterruptibleSink> sink_;
};

}  // namespace lay::cli
