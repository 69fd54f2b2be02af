#include "output/template_functions.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/text.h"
#include "output/template.h"

namespace lay::cli {

namespace {

using Values = std::vector<TemplateValue>;

TemplateValue own_text(std::string text) {
  return {.json = Json(std::move(text)), .is_shown = true};
}

std::string as_json(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::size_t length_of(const Json& value) {
  return value.is_string() ? value.get_ref<const std::string&>().size() : value.size();
}

Json element_at(const Values& values) {
  Json found = values.front().json;
  for (std::size_t i = 1; i < values.size(); ++i) found = element_of(found, values[i].json);
  return found;
}

std::string joined(const TemplateValue& list, const TemplateValue& separator) {
  if (!separator.json.is_string()) throw template_not_understood("join");
  std::vector<std::string> parts;
  for (const Json& item : list.json) parts.push_back(shown(item));
  return join(parts, separator.json.get_ref<const std::string&>());
}

Json split_text(const TemplateValue& text, const TemplateValue& separator) {
  if (!text.json.is_string() || !separator.json.is_string()) throw template_not_understood("split");
  std::string rest = text.json.get<std::string>();
  const std::string by = separator.json.get<std::string>();
  Json parts = Json::array();
  for (std::size_t end = rest.find(by); !by.empty() && end != std::string::npos; end = rest.find(by)) {
    parts.push_back(rest.substr(0, end));
    rest.erase(0, end + by.size());
  }
  parts.push_back(rest);
  return parts;
}

/// A label that is not there is an empty text to Go.
bool are_equal(const Json& a, const Json& b) {
  if (a.is_null() && b.is_string()) return b.get_ref<const std::string&>().empty();
  if (b.is_null() && a.is_string()) return are_equal(b, a);
  return a == b;
}

/// Whether the first is any of the others.
bool is_any(const Values& values) {
  return std::any_of(values.begin() + 1, values.end(),
                     [&](const TemplateValue& value) { return are_equal(values.front().json, value.json); });
}

bool is_less(const Json& a, const Json& b) {
  const bool are_numbers = a.is_number() && b.is_number();
  if (!are_numbers && !(a.is_string() && b.is_string())) throw template_not_understood("lt, le, gt or ge");
  return a < b;
}

/// "slice .Text 1 3": of texts in bytes, as Go's.
Json slice_of(const Values& values) {
  const Json& whole = values.front().json;
  std::array<std::size_t, 2> ends{0, length_of(whole)};
  for (std::size_t i = 1; i < values.size(); ++i) {
    if (!values[i].json.is_number_unsigned()) throw template_not_understood("slice");
    ends.at(i - 1) = values[i].json.get<std::size_t>();
  }
  const auto [begin, end] = ends;
  if ((!whole.is_string() && !whole.is_array()) || begin > end || end > length_of(whole))
    throw Error::make(Errc::invalid, "template: slice: there is nothing from {} to {}", begin, end);
  if (whole.is_string()) return whole.get_ref<const std::string&>().substr(begin, end - begin);
  const auto at = [&](std::size_t place) { return whole.begin() + static_cast<std::ptrdiff_t>(place); };
  return Json::array_t(at(begin), at(end));
}

/// With a blank between two of which neither is a text, as Go has it.
std::string printed(const Values& values) {
  std::string result;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0 && !values[i - 1].json.is_string() && !values[i].json.is_string()) result += ' ';
    result += text_of(values[i]);
  }
  return result;
}

std::string printed_line(const Values& values) {
  std::vector<std::string> parts;
  for (const TemplateValue& value : values) parts.push_back(text_of(value));
  return join(parts, " ") + "\n";
}

bool is_inside_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;  // of UTF-8, behind its first byte
}

/// The first `most` characters.
std::string shortened(const std::string& text, std::size_t most) {
  std::size_t end = 0;
  for (; end < text.size(); ++end)
    if (!is_inside_character(text[end]) && most-- == 0) break;
  return text.substr(0, end);
}

/// One "%-5.3s" of printf.
class Verb {
 public:
  /// `format` begins behind the '%', and begins behind the verb afterwards.
  explicit Verb(std::string_view& format) {
    for (; format.starts_with('-') || format.starts_with('0'); format.remove_prefix(1))
      (format.front() == '-' ? is_left_ : has_zeros_) = true;
    width_ = take_number(format).value_or(0);
    if (format.starts_with('.')) {
      format.remove_prefix(1);
      most_ = take_number(format).value_or(0);
    }
    if (format.empty()) throw template_not_understood("printf: % without a verb");
    letter_ = format.front();
    format.remove_prefix(1);
  }

  bool is_percent() const { return letter_ == '%'; }

  std::string apply(const TemplateValue& value) const { return padded(text_for(value)); }

 private:
  static std::optional<std::size_t> take_number(std::string_view& format) {
    constexpr std::size_t kMost = 1000;
    const std::size_t end = std::min(format.find_first_not_of("0123456789"), format.size());
    const auto number = parse_number(format.substr(0, end));
    if (number && *number > kMost) throw template_not_understood(format);
    format.remove_prefix(end);
    return number;
  }

  std::string text_for(const TemplateValue& value) const {
    const std::string text = text_of(value);
    switch (letter_) {
      case 's':
      case 'v':
        return most_ ? shortened(text, *most_) : text;
      case 'q':
        return as_json(text);
      case 'd':
        if (value.json.is_number_integer()) return text;
        break;
      case 't':
        if (value.json.is_boolean()) return text;
        break;
      default:
        break;
    }
    throw template_not_understood(fmt::format("%{} of '{}'", letter_, text));
  }

  std::string padded(std::string text) const {
    const auto inside = std::ranges::count_if(text, is_inside_character);
    const std::size_t length = text.size() - static_cast<std::size_t>(inside);
    if (length >= width_) return text;
    const bool by_zeros = has_zeros_ && !is_left_ && letter_ == 'd';
    const std::size_t place = is_left_ ? text.size() : by_zeros && text.starts_with('-') ? 1 : 0;
    return text.insert(place, std::string(width_ - length, by_zeros ? '0' : ' '));
  }

  bool is_left_ = false;
  bool has_zeros_ = false;
  std::size_t width_ = 0;
  std::optional<std::size_t> most_;
  char letter_ = '\0';
};

std::string printf_text(const Values& values) {
  if (!values.front().json.is_string()) throw template_not_understood("printf");
  std::string_view format = values.front().json.get_ref<const std::string&>();
  std::string result;
  auto next = values.begin() + 1;
  while (!format.empty()) {
    const std::size_t end = std::min(format.find('%'), format.size());
    result += format.substr(0, end);
    format.remove_prefix(end);
    if (format.empty()) break;
    format.remove_prefix(1);
    const Verb verb(format);
    if (verb.is_percent()) {
      result += '%';
      continue;
    }
    if (next == values.end()) throw template_not_understood("printf: it has more verbs than values");
    result += verb.apply(*next++);
  }
  if (next != values.end()) throw template_not_understood("printf: it has fewer verbs than values");
  return result;
}

struct Function {
  std::string_view name;
  std::size_t least;  ///< arguments
  std::size_t most;
  TemplateValue (*call)(const Values& values);
};

constexpr std::size_t kAny = 100;

constexpr std::array kFunctions{
    Function{"not", 1, 1, [](const Values& v) { return TemplateValue{!is_true(v[0].json)}; }},
    Function{"eq", 2, kAny, [](const Values& v) { return TemplateValue{is_any(v)}; }},
    Function{"ne", 2, 2, [](const Values& v) { return TemplateValue{!is_any(v)}; }},
    Function{"lt", 2, 2, [](const Values& v) { return TemplateValue{is_less(v[0].json, v[1].json)}; }},
    Function{"le", 2, 2, [](const Values& v) { return TemplateValue{!is_less(v[1].json, v[0].json)}; }},
    Function{"gt", 2, 2, [](const Values& v) { return TemplateValue{is_less(v[1].json, v[0].json)}; }},
    Function{"ge", 2, 2, [](const Values& v) { return TemplateValue{!is_less(v[0].json, v[1].json)}; }},
    Function{"index", 1, kAny, [](const Values& v) { return TemplateValue{element_at(v)}; }},
    Function{"len", 1, 1, [](const Values& v) { return TemplateValue{length_of(v[0].json)}; }},
    Function{"json", 1, 1, [](const Values& v) { return own_text(as_json(v[0].json)); }},
    Function{"join", 2, 2, [](const Values& v) { return own_text(joined(v[0], v[1])); }},
    Function{"split", 2, 2, [](const Values& v) { return TemplateValue{split_text(v[0], v[1])}; }},
    Function{"lower", 1, 1, [](const Values& v) { return own_text(to_lower(text_of(v[0]))); }},
    Function{"printf", 1, kAny, [](const Values& v) { return own_text(printf_text(v)); }},
    Function{"print", 0, kAny, [](const Values& v) { return own_text(printed(v)); }},
    Function{"println", 0, kAny, [](const Values& v) { return own_text(printed_line(v)); }},
    Function{"slice", 1, 3, [](const Values& v) { return TemplateValue{slice_of(v)}; }},
};

}  // namespace

Error template_not_understood(std::string_view text) {
  return Error::make(Errc::invalid, "template: '{}' is not understood", printable(text))
      .with_hint(
          "{{.Member.Member}}, {{json .Member}}, {{index .Member \"key\"}}, {{.Member | printf \"%.3s\"}}, "
          "{{if eq .Member \"text\"}}…{{else}}…{{end}} and {{range .Member}}…{{end}} are");
}

std::string text_of(const TemplateValue& value) {
  return value.is_shown && value.json.is_string() ? value.json.get<std::string>() : shown(value.json);
}

bool is_true(const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number()) return value != 0;
  if (value.is_string()) return !value.get_ref<const std::string&>().empty();
  return !value.empty();
}

Json element_of(const Json& value, const Json& key) {
  if (value.is_array() && key.is_number_unsigned() && key.get<std::size_t>() < value.size())
    return value[key.get<std::size_t>()];
  if (value.is_object() && key.is_string()) return value.value(key.get<std::string>(), Json());
  if (value.is_null()) return {};
  throw Error::make(Errc::invalid, "template: index: there is no element {}", printable(as_json(key)));
}

TemplateValue call_function(const std::string& name, const std::vector<TemplateValue>& arguments) {
  const auto found = std::ranges::find(kFunctions, name, &Function::name);
  if (found == kFunctions.end() || arguments.size() < found->least || arguments.size() > found->most)
    throw template_not_understood(name);
  return found->call(arguments);
}

}  // namespace lay::cli
