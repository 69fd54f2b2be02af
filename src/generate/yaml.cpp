#include "generate/yaml.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/text.h"

namespace lay::cli {

namespace {

/// What YAML 1.1 or 1.2 reads as something else than a string.
bool is_word(const std::string& text) {
  static constexpr std::array<std::string_view, 10> kWords{"y",  "n",   "yes",  "no",    "true",
                                                           "on", "off", "null", "false", "nan"};
  const std::string lower = to_lower(text);
  return std::find(kWords.begin(), kWords.end(), lower) != kWords.end();
}

bool is_letter(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
}

bool is_plain(const std::string& text) {
  const auto is_fit = [](char letter) {
    return is_letter(letter) || (letter >= '0' && letter <= '9') || letter == '_' || letter == '-' ||
           letter == '.' || letter == '/';
  };
  return !text.empty() && (is_letter(text.front()) || text.front() == '/') &&
         std::all_of(text.begin(), text.end(), is_fit) && !is_word(text);
}

/// Takes one code point of UTF-8 off the front; throws invalid.
std::uint32_t take_code_point(std::string_view& text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  std::uint32_t point = length == 1 ? lead : lead & (0xffU >> (length + 1));
  bool is_good = (lead < 0x80 || (lead >= 0xc2 && lead <= 0xf4)) && text.size() >= length;
  for (std::size_t i = 1; is_good && i < length; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    is_good = (next & 0xc0U) == 0x80;
    point = (point << 6) | (next & 0x3fU);
  }
  is_good = is_good && (length < 3 || point >= (length == 3 ? 0x800U : 0x10000U)) && point <= 0x10ffff &&
            (point < 0xd800 || point > 0xdfff);
  if (!is_good) throw Error(Errc::invalid, "a text is not UTF-8, and YAML can hold nothing else");
  text.remove_prefix(length);
  return point;
}

bool is_printed(std::uint32_t point) {
  return point >= 0x20 && point != 0x7f && (point < 0x80 || point > 0x9f) && point != 0x2028 &&
         point != 0x2029 && point != 0xfeff && point != 0xfffe && point != 0xffff;
}

void write_block(const OrderedJson& value, std::size_t indent, std::string& out);

/// What stands behind "key:" or "-".
void write_value(const OrderedJson& value, std::size_t indent, std::string& out) {
  if (value.is_structured() && !value.empty()) {
    out += "\n";
    write_block(value, indent, out);
  } else {
    out += ' ';
    out += value.is_string() ? yaml_scalar(value.get<std::string>()) : value.dump();
    out += '\n';
  }
}

void write_block(const OrderedJson& value, std::size_t indent, std::string& out) {
  const std::string margin(indent, ' ');
  if (value.is_object()) {
    for (const auto& [key, item] : value.items()) {
      out += margin + yaml_scalar(key) + ":";
      write_value(item, indent + 2, out);
    }
    return;
  }
  for (const OrderedJson& item : value) {
    std::string block;
    if (item.is_object() && !item.empty()) {
      write_block(item, indent + 2, block);
      block[indent] = '-';
      out += block;
    } else {
      out += margin + "-";
      write_value(item, indent + 2, out);
    }
  }
}

}  // namespace

std::string yaml_scalar(const std::string& text) {
  std::string quoted = "\"";
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view before = rest;
    const std::uint32_t point = take_code_point(rest);
    if (point == '"' || point == '\\')
      (quoted += '\\') += static_cast<char>(point);
    else if (point == '\n')
      quoted += "\\n";
    else if (point == '\t')
      quoted += "\\t";
    else if (is_printed(point))
      quoted += before.substr(0, before.size() - rest.size());
    else
      quoted += point <= 0xff ? fmt::format("\\x{:02x}", point) : fmt::format("\\u{:04x}", point);
  }
  return is_plain(text) ? text : quoted + "\"";
}

std::string write_yaml(const OrderedJson& value) {
  std::string out;
  write_block(value, 0, out);
  return out;
}

}  // namespace lay::cli
