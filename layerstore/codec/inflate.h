#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

namespace lay::layerstore {

/// What one step took and gave.
struct InflateStep {
  std::size_t consumed = 0;
  std::size_t produced = 0;
  bool is_member_end = false;
};

/// Inflates gzip members after their header: the deflate data (RFC 1951) and the trailer (RFC 1952, 2.3.1),
/// which it checks.
class Inflater {
 public:
  virtual ~Inflater() = default;
  /// Must be called before the first step of each member.
  virtual void begin_member() = 0;
  /// Takes from `in`, at most 4 GiB at once, and writes to `out`. A step that fills `out` may hold back more
  /// output, for which it needs no input. Throws corrupt.
  virtual InflateStep step(std::span<const std::byte> in, std::span<std::byte> out) = 0;
};

/// By ISA-L, which inflates three times as fast as zlib, in a process of its own (inflate_sandbox.h): the
/// library is written for speed, in assembly. Null where it is not installed.
std::unique_ptr<Inflater> make_isal_inflater();

/// The same in this process, for fuzzing.
std::unique_ptr<Inflater> make_unguarded_isal_inflater();

std::unique_ptr<Inflater> make_zlib_inflater();

}  // namespace lay::layerstore
