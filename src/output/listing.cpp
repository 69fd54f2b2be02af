#include "output/listing.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "output/listing_printer.h"
#include "output/template.h"

namespace lay::cli {

namespace {

constexpr std::string_view kTablePrefix = "table ";
constexpr std::size_t kGap = 3;  // between columns

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// "StatePid" of an action such as " .State.Pid | json ": its first member. All of it when it has none.
std::string name_in(std::string_view action) {
  const auto begins_member = [&](std::size_t at) {
    return action[at] == '.' && at + 1 < action.size() && is_letter(action[at + 1]);
  };
  std::size_t at = 0;
  while (at < action.size() && !begins_member(at)) ++at;
  if (at == action.size()) return std::string(action);
  std::string name;
  for (; at < action.size() && (is_letter(action[at]) || action[at] == '.'); ++at)
    if (action[at] != '.') name += action[at];
  return name;
}

/// The title of "{{.Name}}", with what stands beside it, in capitals.
std::string title_of(const std::string& cell) {
  std::string title;
  for (std::size_t at = 0; at < cell.size();) {
    const std::size_t open = std::min(cell.find("{{", at), cell.size());
    const std::size_t close = std::min(cell.find("}}", open), cell.size());
    title += cell.substr(at, open - at);
    if (open < close) title += name_in(std::string_view(cell).substr(open + 2, close - open - 2));
    at = open < close ? close + 2 : cell.size();
  }
  for (char& c : title)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return title;
}

/// The heading of a "table …" template.
std::vector<std::string> heading_of(const std::string& text) {
  std::vector<std::string> titles;
  for (const std::string& cell : split(unescape(text), '\t')) titles.push_back(title_of(cell));
  return titles;
}

}  // namespace

ListingPrinter::Form ListingPrinter::form_of(const std::string& format) {
  if (format == "json") return Form::json;
  if (format == "jsonl") return Form::jsonl;
  const bool is_table = format.empty() || format == "table" || format.starts_with(kTablePrefix);
  return is_table ? Form::table : Form::rows;
}

ListingPrinter::ListingPrinter(std::vector<Column> columns, std::string format, const Spill& spill,
                               Heading heading)
    : columns_(std::move(columns)),
      form_(form_of(format)),
      template_(format.starts_with(kTablePrefix) ? format.substr(kTablePrefix.size()) : std::move(format)),
      memory_(spill),
      lines_(memory_) {
  if (form_ != Form::table) return;
  if (template_ == "table") template_.clear();
  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  if (heading == Heading::titles) add_line(template_.empty() ? titles : heading_of(template_));
}

void ListingPrinter::add(const Json& row) {
  switch (form_) {
    case Form::json: {
      const std::string text = dump_json_pretty(Json::array({row}));  // "[\n", the row, "\n]"
      fmt::print("{}{}", is_empty_ ? "[\n" : ",\n", std::string_view(text).substr(2, text.size() - 4));
      break;
    }
    case Form::jsonl:
      fmt::print("{}\n", row.dump(-1, ' ', false, Json::error_handler_t::replace));
      break;
    case Form::rows:
      fmt::print("{}\n", fill_template(template_, row));
      break;
    case Form::table:
      add_line(cells_of(row));
      break;
  }
  is_empty_ = false;
}

void ListingPrinter::finish() {
  if (form_ == Form::json) fmt::print("{}\n", is_empty_ ? "[]" : "\n]");
  if (form_ == Form::table) print_table();
}

std::vector<std::string> ListingPrinter::cells_of(const Json& row) const {
  if (!template_.empty()) return split(fill_template(template_, row), '\t');
  std::vector<std::string> cells;
  for (const Column& column : columns_) cells.push_back(shown(row.at(column.member)));
  return cells;
}

void ListingPrinter::add_line(const std::vector<std::string>& cells) {
  memory_.count_use();
  widths_.resize(std::max(widths_.size(), cells.size()));
  for (std::size_t i = 0; i < cells.size(); ++i)
    widths_[i] = std::max(widths_[i], count_characters(cells[i]));
  lines_.push_back(memory_.keep(join(cells, "\t")));
}

void ListingPrinter::print_table() {
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    memory_.count_use();
    const std::vector<std::string> cells = split(std::string(lines_[i]), '\t');
    std::string text;
    for (std::size_t cell = 0; cell < cells.size(); ++cell) {
      text += cells[cell];
      if (cell + 1 < cells.size()) text.append(widths_[cell] + kGap - count_characters(cells[cell]), ' ');
    }
    fmt::print("{}\n", text);
  }
}

void print_listing(const std::vector<Json>& rows, const std::vector<Column>& columns,
                   const std::string& format, Heading heading) {
  ListingPrinter printer(columns, format, {}, heading);
  for (const Json& row : rows) printer.add(row);
  printer.finish();
}

}  // namespace lay::cli
