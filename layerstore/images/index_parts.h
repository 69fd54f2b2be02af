#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lay::layerstore {

/// The text of an OCI index, its entries unread: one among thousands is found in a tenth of the time that
/// parsing all of them takes.
struct IndexParts {
  std::string frame;                        ///< the document with an empty list in place of its own
  std::vector<std::string_view> manifests;  ///< the entries as they stand, in `text`
};

/// Empty where the text is not plainly an object with one list "manifests" of objects: whoever parses it
/// whole learns what it is. Of the entries only the brackets are looked at.
std::optional<IndexParts> split_index(std::string_view text);

}  // namespace lay::layerstore
