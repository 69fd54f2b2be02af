#pragma once

#include <concepts>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "runner/spec.h"

/// Reading members of config.json: what is of the wrong type, out of range or unknown is an error that names
/// the key.
namespace lay::runner {

/// An integer of the document in the range of T. Fractions and strings are refused.
template <std::integral T>
T as_number(const Json& value, const char* key) {
  const bool fits = value.is_number_unsigned()
                        ? std::in_range<T>(value.get<std::uint64_t>())
                        : value.is_number_integer() && std::in_range<T>(value.get<std::int64_t>());
  if (!fits)
    throw Error::make(Errc::invalid, "'{}' is {}, expected a whole number from {} to {}", key, value.dump(),
                      std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
  return value.get<T>();
}

/// As as_number; empty when absent.
template <std::integral T>
std::optional<T> number(const Json& object, const char* key) {
  const Json* value = json_find(object, key);
  if (value == nullptr) return std::nullopt;
  return as_number<T>(*value, key);
}

/// As number(); absence is an error.
template <std::integral T>
T required_number(const Json& object, const char* key) {
  const auto value = number<T>(object, key);
  if (!value) throw Error::make(Errc::invalid, "'{}' is missing", key);
  return *value;
}

/// The value that `word` stands for in a table of pairs {value, word}.
template <class Table>
auto value_of_word(const Table& table, const std::string& word, const char* key) {
  for (const auto& [value, known] : table)
    if (known == word) return value;
  std::vector<std::string> words;
  for (const auto& [value, known] : table) words.emplace_back(known);
  throw Error::make(Errc::invalid, "'{}' is '{}', which there is not", key, printable(word))
      .with_hint("known are " + join(words, ", "));
}

/// The first word of `value` in such a table.
template <class Table, class Value>
std::string word_of_value(const Table& table, Value value) {
  for (const auto& [key, word] : table)
    if (key == value) return std::string(word);
  return {};
}

/// The object under `key`; an empty one where it is absent, so that its members read as absent too.
const Json& part(const Json& object, const char* key);

/// An object of strings.
std::map<std::string, std::string> string_map(const Json& object, const char* key);

/// A list of {"containerID", "hostID", "size"}, each required.
std::vector<IdMapping> parse_id_mappings(const Json& object, const char* key);
Json to_json(const std::vector<IdMapping>& mappings);

}  // namespace lay::runner
