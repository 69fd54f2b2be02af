#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "flags/parser.h"
#include "runner/spec.h"

namespace lay::cli {

/// --blkio-weight, --device-read-bps … of run and update: what a container may take of block devices.
struct BlockFlags {
  std::optional<std::uint64_t> weight;
  std::vector<std::string> weight_devices;
  std::vector<std::string> read_bytes;
  std::vector<std::string> write_bytes;
  std::vector<std::string> read_operations;
  std::vector<std::string> write_operations;

  void add_to(Parser& parser);
  /// Puts what was given over `block_io`, device by device; throws invalid, with hints. Devices are looked up
  /// on the host.
  void apply(runner::BlockIo& block_io) const;
};

}  // namespace lay::cli
