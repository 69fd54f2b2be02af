#include "http/link_header.h"

#include <algorithm>

#include "base/text.h"

namespace lay::registry {

namespace {

constexpr std::string_view kBlanks = " \t";

void skip(std::string_view& text, std::string_view characters) {
  text.remove_prefix(std::min(text.find_first_not_of(characters), text.size()));
}

std::string_view take_until(std::string_view& text, std::string_view ends) {
  const std::string_view taken = text.substr(0, std::min(text.find_first_of(ends), text.size()));
  text.remove_prefix(taken.size());
  return taken;
}

/// The value behind "=": a token, or a quoted string without its quotes.
std::string_view take_value(std::string_view& text) {
  if (!text.starts_with('"')) return take_until(text, ",; \t");
  std::size_t end = 1;
  while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2U : 1U;
  end = std::min(end, text.size());
  const std::string_view value = text.substr(1, end - 1);
  text.remove_prefix(std::min(end + 1, text.size()));
  return value;
}

bool has_word(std::string_view words, std::string_view wanted) {
  while (!words.empty()) {
    skip(words, kBlanks);
    if (to_lower(take_until(words, kBlanks)) == wanted) return true;
  }
  return false;
}

/// Reads the parameters of one link, and says whether its rel, the first one, has the relation.
bool has_relation(std::string_view& text, std::string_view relation) {
  bool found = false;
  bool is_told = false;
  for (skip(text, kBlanks); text.starts_with(';'); skip(text, kBlanks)) {
    skip(text, "; \t");
    const std::string name = to_lower(take_until(text, "=,; \t"));
    skip(text, kBlanks);
    std::string_view value;
    if (text.starts_with('=')) {
      text.remove_prefix(1);
      skip(text, kBlanks);
      value = take_value(text);
    }
    if (name == "rel" && !is_told) found = has_word(value, relation);
    is_told = is_told || name == "rel";
  }
  return found;
}

}  // namespace

std::optional<std::string> find_link(std::string_view field, std::string_view relation) {
  for (skip(field, ", \t"); field.starts_with('<'); skip(field, ", \t")) {
    field.remove_prefix(1);
    const std::string_view target = take_until(field, ">");
    if (field.empty()) return std::nullopt;
    field.remove_prefix(1);
    if (has_relation(field, relation)) return std::string(target);
  }
  return std::nullopt;
}

}  // namespace lay::registry
