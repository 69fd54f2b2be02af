#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/unique_fd.h"
#include "tar/tar_entry.h"

namespace lay::layerstore {

/// Where a file of `size` bytes holds data, when the rest of it, zeros, is worth leaving out of a tar: 64 MiB
/// and more. Below that the layer is better served by one that every tool can read, store and send on:
/// podman unpacks sparse files but cannot push a layer that has them.
///   decided   by the bytes alone, so that the same file gives the same map on every file system, whether
///             they are holes there or were written: blocks of 64 KiB that are all zeros are left out. In
///             files beyond 64 GiB, and in those with more than 16,384 regions, blocks are larger
///   cost      what the file system knows to be a hole is not read; of data, mostly 4 KiB of each 64 KiB.
///             Files below 64 MiB are not looked at
///   position  of the descriptor: at its start when this returns
std::optional<std::vector<DataRegion>> find_worthwhile_holes(const UniqueFd& file, std::uint64_t size);

}  // namespace lay::layerstore
