#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "flags/parser.h"
#include "output/listing.h"

namespace lay::cli {

/// --sort and --noheading of lists, as podman has them.
class ListFlags {
 public:
  /// A word of --sort and the member of the rows that it compares.
  struct SortKey {
    std::string_view word;
    std::string_view member;
    bool is_reversed = false;  ///< the largest or newest first
  };

  explicit ListFlags(std::vector<SortKey> keys) : keys_(std::move(keys)) {}

  /// `no_heading` is how the command calls that flag: "-n,--noheading".
  void add_to(Parser& parser, const std::string& no_heading);
  bool sorts() const { return !sort_.empty(); }
  /// Whether it is that word of --sort.
  bool sorts_by(std::string_view word) const;
  /// Sorts the rows when that was asked for; throws UsageError.
  void sort(std::vector<Json>& rows) const;
  Heading heading() const { return no_heading_ ? Heading::none : Heading::titles; }

 private:
  std::vector<SortKey> keys_;
  std::string sort_;
  bool no_heading_ = false;
};

}  // namespace lay::cli
