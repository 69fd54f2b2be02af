#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.h"

/// Files of the store, whose folder may have been made by others: nothing but a regular file is ever opened.
namespace lay::layerstore {

/// Locked shared by who adds blobs or layers, exclusively by the collector.
constexpr const char* kStoreLock = "lock";

/// Opens for reading; empty when absent. A symlink, device, fifo or folder of that name is corrupt.
std::optional<UniqueFd> try_open_regular(const UniqueFd& dir, const std::string& name);

/// Puts `name` of `from` in the place of `there` in `to`, which comes to `from` instead. False on a file
/// system that cannot do that.
bool try_exchange(const UniqueFd& from, const std::string& name, const UniqueFd& to,
                  const std::string& there);

/// What is written over the content of `file`, an empty one, goes to the blocks that it has: file systems
/// that write to others each time (btrfs) have no room for that when they are full.
void keep_blocks(const UniqueFd& file) noexcept;

/// Replaces `root`/`name` as a whole and durably. The new file grows under ingest/, so that what a killed
/// process leaves behind is swept with everything else. It keeps its blocks when it is written over
/// (keep_blocks()).
void publish_file(const UniqueFd& root, const std::string& name, std::string_view text);
/// The same for a file in `folder`, which is one of the store's.
void publish_file(const UniqueFd& root, const UniqueFd& folder, const std::string& name,
                  std::string_view text);

}  // namespace lay::layerstore
