#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

/// SHA-256 (FIPS 180-4) of several streams that go over the same bytes: a tar, a file in it, and a chunk of
/// that file. What a block of the message is expanded to is the same for all of them, and the rounds of one
/// stream run in the time in which those of another wait for their results.
namespace lay::layerstore {

constexpr std::size_t kSha256Block = 64;
constexpr std::size_t kMaxTogether = 3;

/// The eight words of a hash between two blocks.
using Sha256Words = std::uint32_t[8];

/// Whether this CPU has the instructions that sha256_together() is made of.
bool can_sha256_together();

/// Adds the blocks of `bytes`, whose size is a multiple of kSha256Block, to each of one to kMaxTogether
/// hashes.
void sha256_together(std::span<Sha256Words* const> hashes, std::span<const std::byte> bytes);

}  // namespace lay::layerstore
