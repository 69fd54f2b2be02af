#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace lay::cli {

/// One column of a list: what is printed above it and the member of each row it shows.
struct Column {
  std::string title;
  std::string member;
};

/// Whether a table begins with the titles of its columns.
enum class Heading { titles, none };

/// Prints rows (objects whose members are the `.Name` of templates) to stdout: as a table of `columns`, or as
/// `format` says: "json" (one array), "jsonl" (an object per line), "table TEMPLATE", or a template per row.
/// Throws invalid when the template is broken.
void print_listing(const std::vector<Json>& rows, const std::vector<Column>& columns,
                   const std::string& format, Heading heading = Heading::titles);

}  // namespace lay::cli
