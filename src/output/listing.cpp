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
