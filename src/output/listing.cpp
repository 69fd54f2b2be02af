#include "output/listing.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace lay::cli {

namespace {

constexpr const char* kTablePrefix = "table ";

std::string unescape(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    if (text[i] == '\\' && (next == 't' || next == 'n')) {
      result += next == 't' ? '\t' : '\n';
      ++i;
    } else {
      result += text[i];
    }
  }
  return result;
}

const Json& member_of(const Json& value, const std::string& path) {
  const Json* at = &value;
  for (const std::string& name : split(path, '.')) {
    if (name.empty()) continue;
    if (!at->is_object() || !at->contains(name))
      throw Error::make(Errc::invalid, "template: there is no '.{}'", printable(name));
    at = &(*at)[name];
  }
  return *at;
}

std::string shown(const Json& value) {
  if (value.is_string()) return printable(value.get<std::string>());
  if (!value.is_array()) return value.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::vector<std::string> parts;
  for (const Json& item : value) parts.push_back(shown(item));
  return fmt::format("[{}]", join(parts, " "));
}

/// The value of what stands between {{ and }}.
std::string evaluate(const std::string& expression, const Json& value) {
  const std::size_t begin = expression.find_first_not_of(' ');
  if (begin == std::string::npos) throw Error(Errc::invalid, "template: {{}} is empty");
  std::string trimmed = expression.substr(begin, expression.find_last_not_of(' ') - begin + 1);
  const bool as_json = trimmed.starts_with("json ");
  if (as_json) trimmed = trimmed.substr(trimmed.find_first_not_of(' ', 5));
  if (trimmed.empty() || trimmed.front() != '.')
    throw Error::make(Errc::invalid, "template: '{}' is not understood", printable(trimmed))
        .with_hint("{{.Member}}, {{.Member.Member}} and {{json .Member}} are");
  const Json& member = member_of(value, trimmed);
  return as_json ? member.dump(-1, ' ', false, Json::error_handler_t::replace) : shown(member);
}

void print_table(const std::vector<std::vector<std::string>>& lines) {
  std::vector<std::size_t> widths;
  for (const auto& line : lines) {
    widths.resize(std::max(widths.size(), line.size()));
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  for (const auto& line : lines) {
    std::string text;
    for (std::size_t i = 0; i < line.size(); ++i)
      text += i + 1 == line.size() ? line[i] : fmt::format("{:<{}}", line[i], widths[i] + 3);
    fmt::print("{}\n", text);
  }
}

/// The heading of a "table …" template: the names in it, in capitals.
std::vector<std::string> heading_of(const std::string& text) {
  std::vector<std::string> titles;
  for (const std::string& cell : split(unescape(text), '\t')) {
    std::string title;
    for (const char c : cell) {
      if (c == '{' || c == '}' || c == '.') continue;
      title += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    titles.push_back(title);
  }
  return titles;
}

}  // namespace

std::string fill_template(const std::string& text, const Json& value) {
  std::string result;
  for (std::size_t at = 0;;) {
    const std::size_t open = text.find("{{", at);
    result += unescape(text.substr(at, open - at));
    if (open == std::string::npos) return result;
    const std::size_t close = text.find("}}", open);
    if (close == std::string::npos) throw Error(Errc::invalid, "template: '{{' without '}}'");
    result += evaluate(text.substr(open + 2, close - open - 2), value);
    at = close + 2;
  }
}

void print_listing(const std::vector<Json>& rows, const std::vector<Column>& columns,
                   const std::string& format) {
  if (format == "json") {
    fmt::print("{}\n", dump_json_pretty(Json(rows)));
    return;
  }
  if (format == "jsonl") {
    for (const Json& row : rows) fmt::print("{}\n", row.dump(-1, ' ', false, Json::error_handler_t::replace));
    return;
  }
  if (!format.empty() && !format.starts_with(kTablePrefix) && format != "table") {
    for (const Json& row : rows) fmt::print("{}\n", fill_template(format, row));
    return;
  }
  std::vector<std::vector<std::string>> lines(1);
  if (format.starts_with(kTablePrefix)) {
    const std::string text = format.substr(std::string(kTablePrefix).size());
    lines[0] = heading_of(text);
    for (const Json& row : rows) lines.push_back(split(fill_template(text, row), '\t'));
  } else {
    for (const Column& column : columns) lines[0].push_back(column.title);
    for (const Json& row : rows) {
      lines.emplace_back();
      for (const Column& column : columns) lines.back().push_back(shown(row.at(column.member)));
    }
  }
  print_table(lines);
}

}  // namespace lay::cli
