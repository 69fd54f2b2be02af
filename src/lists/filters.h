#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace lay::cli {

/// The "--filter KEY=VALUE" of a list, as docker and podman have them: all keys must fit, and of each key one
/// of its values.
class Filters {
 public:
  /// Throws UsageError for what is no KEY=VALUE and for a key that is not in `known`.
  Filters(const std::vector<std::string>& texts, std::initializer_list<std::string_view> known);

  bool is_empty() const { return values_.empty(); }
  bool has(const std::string& key) const { return values_.contains(key); }
  /// The last value of a key; empty without one.
  std::string last(const std::string& key) const;
  /// Whether `fits` holds for a value of `key`, or there is none.
  bool any(const std::string& key, const std::function<bool(const std::string& value)>& fits) const;
  /// "label=KEY" and "label=KEY=VALUE", all of which must be there, and the same of "label!", none of which
  /// may.
  bool fit_labels(const std::map<std::string, std::string>& labels) const;

 private:
  std::map<std::string, std::vector<std::string>> values_;
};

}  // namespace lay::cli
