#pragma once

#include <cstdint>
#include <ctime>
#include <set>
#include <string>

#include "base/json.h"
#include "base/unique_fd.h"
#include "layerstore/store.h"

namespace lay::cli {

/// DIR/lay.json: what a bundle was made of, so that its changes can be captured.
struct BundleNotes {
  std::string image;                   ///< name it was found under, for people
  layerstore::Digest manifest;         ///< digest
  std::set<std::string> mount_points;  ///< in the root folder; new and empty they are no change
  timespec finished{};       ///< by the clock of its file system: what was written later has a later ctime
  std::uint64_t device = 0;  ///< of the root folder: in a copy all times may be others
  std::uint64_t inode = 0;
};

constexpr const char* kBundleNotes = "lay.json";
constexpr const char* kBundleRoot = "rootfs";

Json to_json(const BundleNotes& notes, const layerstore::Image& image);
/// Throws invalid, naming what is wrong.
BundleNotes parse_bundle_notes(const Json& json);

/// Whether `folder` was written by `lay bundle`.
bool is_bundle(const UniqueFd& folder);
/// Throws not_found, with a hint, when it is none.
BundleNotes read_bundle_notes(const UniqueFd& folder);

}  // namespace lay::cli
