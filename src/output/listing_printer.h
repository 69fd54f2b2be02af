#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/spill_memory.h"
#include "output/listing.h"

namespace lay::cli {

/// Prints rows as print_listing() does, each as it comes; those of a table, whose widths the longest decide,
/// are kept until the end.
class ListingPrinter {
 public:
  /// `spill` is for the rows of a table.
  ListingPrinter(std::vector<Column> columns, std::string format, const Spill& spill = {},
                 Heading heading = Heading::titles);

  /// Throws invalid when the template is broken.
  void add(const Json& row);
  void finish();

 private:
  enum class Form { json, jsonl, rows, table };

  static Form form_of(const std::string& format);
  void add_line(const std::vector<std::string>& cells);
  std::vector<std::string> cells_of(const Json& row) const;
  void print_table();

  std::vector<Column> columns_;
  Form form_;
  std::string template_;  ///< of a row; none: the columns
  bool is_empty_ = true;
  SpillMemory memory_;
  SpillArray<std::string_view> lines_;  ///< of a table: cells, with tabs between them
  std::vector<std::size_t> widths_;
};

}  // namespace lay::cli
