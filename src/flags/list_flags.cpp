#include "flags/list_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/text.h"

namespace lay::cli {

void ListFlags::add_to(Parser& parser, const std::string& no_heading) {
  if (!keys_.empty()) {
    std::vector<std::string> words;
    for (const SortKey& key : keys_) words.emplace_back(key.word);
    parser.add_option("--sort", sort_, "smallest first, by " + join(words, ", ")).type_name("KEY");
  }
  parser.add_flag(no_heading, no_heading_, "without the line of titles");
}

bool ListFlags::sorts_by(std::string_view word) const {
  return to_lower(sort_) == word;
}

void ListFlags::sort(std::vector<Json>& rows) const {
  if (sort_.empty()) return;
  const auto key =
      std::ranges::find(keys_, to_lower(sort_), [](const SortKey& known) { return std::string(known.word); });
  if (key == keys_.end()) throw UsageError{fmt::format("--sort: there is no '{}'", printable(sort_))};
  const std::string member(key->member);
  const auto value = [&](const Json& row) { return row.value(member, Json()); };
  if (key->is_reversed)
    std::ranges::stable_sort(rows, std::greater<>(), value);
  else
    std::ranges::stable_sort(rows, std::less<>(), value);
}

}  // namespace lay::cli
