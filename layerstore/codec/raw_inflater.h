#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace lay::layerstore {

/// Why data are damaged.
enum class RawFailure : unsigned char { none, block, code, distance, checksum, other };

/// As InflateStep, for code that may not throw.
struct RawStep {
  std::size_t consumed = 0;
  std::size_t produced = 0;
  bool is_member_end = false;
  RawFailure failure = RawFailure::none;
};

/// An inflater that does nothing but compute: no allocation, no exception, no system call. See Inflater for
/// what the members do.
class RawInflater {
 public:
  virtual ~RawInflater() = default;
  virtual void begin_member() noexcept = 0;
  virtual RawStep step(std::span<const std::byte> in, std::span<std::byte> out) noexcept = 0;
};

/// By ISA-L; null where the library is not installed.
std::unique_ptr<RawInflater> make_isal_stream();

}  // namespace lay::layerstore
