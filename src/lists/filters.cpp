#include "lists/filters.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "flags/parser.h"

namespace lay::cli {

Filters::Filters(const std::vector<std::string>& texts, std::initializer_list<std::string_view> known) {
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos)
      throw UsageError{fmt::format("--filter '{}' is not KEY=VALUE", printable(text))};
    const std::string key = text.substr(0, equals);
    if (std::ranges::find(known, key) == known.end())
      throw UsageError{fmt::format("--filter: there is no '{}', but {}", printable(key),
                                   join(std::vector<std::string>(known.begin(), known.end()), ", "))};
    values_[key].push_back(text.substr(equals + 1));
  }
}

std::string Filters::last(const std::string& key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? "" : found->second.back();
}

bool Filters::any(const std::string& key, const std::function<bool(const std::string&)>& fits) const {
  const auto found = values_.find(key);
  return found == values_.end() || std::ranges::any_of(found->second, fits);
}

bool Filters::fit_labels(const std::map<std::string, std::string>& labels) const {
  const auto is_there = [&](const std::string& wanted) {
    const std::size_t equals = wanted.find('=');
    const auto label = labels.find(wanted.substr(0, equals));
    return label != labels.end() &&
           (equals == std::string::npos || label->second == wanted.substr(equals + 1));
  };
  const auto wanted = values_.find("label");
  const auto unwanted = values_.find("label!");
  return (wanted == values_.end() || std::ranges::all_of(wanted->second, is_there)) &&
         (unwanted == values_.end() || std::ranges::none_of(unwanted->second, is_there));
}

}  // namespace lay::cli
