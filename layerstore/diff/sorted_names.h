#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/spill_scratch.h"

namespace lay::layerstore {

/// Names of a folder, of any number: they are sorted by the megabyte, and put together when they are read.
/// So what they take lies in the given memory, and each part of it is used in one go.
class SortedNames {
 public:
  enum class Rank : std::uint8_t { first, later };

  struct Name {
    std::string name;
    unsigned char type;  ///< DT_REG and so on, as it was given
    Rank rank;
  };

  /// `memory` must outlive it; what it takes there is not given back.
  explicit SortedNames(SpillScratch& memory) : memory_(&memory) {}

  /// Before the first next(). `name` has at most 255 bytes, as any name on Linux.
  void add(std::string_view name, unsigned char type, Rank rank = Rank::later);
  /// By rank, then in byte order; a name that was added twice comes twice. Empty at the end.
  std::optional<Name> next();

 private:
  /// A row of names in order, and the first of those that are left of it.
  struct Run {
    std::string_view rest;
    Name head;
  };

  static bool comes_later(const Run& a, const Run& b);
  static bool advance(Run& run);
  void end_run();

  SpillScratch* memory_;
  std::string unsorted_;
  std::vector<std::uint32_t> starts_;  ///< of the names in there
  std::vector<Run> runs_;              ///< a heap, once it is read
  bool is_read_ = false;
};

}  // namespace lay::layerstore
