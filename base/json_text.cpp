#include "base/json_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"

namespace lay {

void append_json(std::string& to, std::string_view text) {
  const bool is_plain = std::all_of(text.begin(), text.end(),
                                    [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
  if (is_plain)
    to.append("\"").append(text).append("\"");
  else
    to.append(dump_json(Json(std::string(text))));
}

void append_json(std::string& to, std::uint64_t number) {
  const fmt::format_int text(number);
  to.append(text.data(), text.size());
}

std::string& JsonObjectText::begin(std::string_view name) {
  if (!is_first_) to_ += ',';
  is_first_ = false;
  append_json(to_, name);
  return to_ += ':';
}

}  // namespace lay
