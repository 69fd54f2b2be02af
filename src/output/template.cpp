#include "output/template.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace lay::cli {

namespace {

Error not_understood(std::string_view text) {
  return Error::make(Errc::invalid, "template: '{}' is not understood", printable(std::string(text)))
      .with_hint(
          "{{.Member.Member}}, {{json .Member}}, {{index .Member \"key\"}}, {{len .Member}}, {{if .Member}}…"
          "{{else}}…{{end}} and {{range .Member}}…{{end}} are");
}

std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\n");
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(" \t\n") - begin + 1));
}

/// Text, or what stands between {{ and }}.
struct Piece {
  bool is_action = false;
  std::string text;
};

/// "{{- " and " -}}" take the blanks beside them along.
void trim_beside(std::string& action, std::string& before, bool& trims_after) {
  if (action.starts_with("- ")) {
    action.erase(0, 2);
    before.erase(before.find_last_not_of(" \t\n") + 1);
  }
  trims_after = action.ends_with(" -");
  if (trims_after) action.erase(action.size() - 2);
}

std::vector<Piece> cut_pieces(const std::string& text) {
  std::vector<Piece> pieces;
  bool trims_after = false;
  for (std::size_t at = 0;;) {
    const std::size_t open = text.find("{{", at);
    std::string plain = unescape(text.substr(at, open - at));
    if (trims_after) plain.erase(0, std::min(plain.find_first_not_of(" \t\n"), plain.size()));
    if (open == std::string::npos) {
      pieces.push_back({false, std::move(plain)});
      return pieces;
    }
    const std::size_t close = text.find("}}", open);
    if (close == std::string::npos) throw Error(Errc::invalid, "template: '{{' without '}}'");
    std::string action = text.substr(open + 2, close - open - 2);
    trim_beside(action, plain, trims_after);
    pieces.push_back({false, std::move(plain)});
    pieces.push_back({true, trimmed(action)});
    if (pieces.back().text.empty()) throw Error(Errc::invalid, "template: {{}} is empty");
    at = close + 2;
  }
}

/// The words of an action: "texts" and (groups) are one each.
std::vector<std::string> cut_words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  int depth = 0;
  bool is_quoted = false;
  for (const char c : text) {
    if (c == '"') is_quoted = !is_quoted;
    if (!is_quoted) depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    if (depth < 0) throw not_understood(text);
    if (c == ' ' && depth == 0 && !is_quoted) {
      if (!word.empty()) words.push_back(std::exchange(word, {}));
    } else {
      word += c;
    }
  }
  if (depth != 0 || is_quoted) throw not_understood(text);
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

bool is_true(const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number()) return value != 0;
  if (value.is_string()) return !value.get_ref<const std::string&>().empty();
  return !value.empty();
}

std::string as_json(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json length_of(const Json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().size();
  return value.size();
}

/// A key that is not there is null, as in Go; a number beyond the end is a mistake.
Json element_of(const Json& value, const Json& key) {
  if (value.is_array() && key.is_number_unsigned() && key.get<std::size_t>() < value.size())
    return value[key.get<std::size_t>()];
  if (value.is_object() && key.is_string()) return value.value(key.get<std::string>(), Json());
  if (value.is_null()) return {};
  throw Error::make(Errc::invalid, "template: index: there is no element {}", printable(as_json(key)));
}

std::string joined(const Json& list, const Json& separator) {
  if (!separator.is_string()) throw not_understood("join");
  std::vector<std::string> parts;
  for (const Json& item : list) parts.push_back(shown(item));
  return join(parts, separator.get_ref<const std::string&>());
}

class Filler {
 public:
  Filler(const std::string& text, const Json& value) : pieces_(cut_pieces(text)) { variables_["$"] = value; }

  std::string fill() {
    std::string result = block(variables_["$"], true);
    if (at_ < pieces_.size()) throw not_understood(pieces_[at_].text);  // else or end without a begin
    return result;
  }

 private:
  /// Up to the `else` or `end` that closes it, or the end of all. `is_live`: else it is only passed over.
  std::string block(const Json& dot, bool is_live) {
    std::string result;
    for (; at_ < pieces_.size(); ++at_) {
      const Piece& piece = pieces_[at_];
      if (piece.is_action && (piece.text == "end" || piece.text == "else")) return result;
      if (!piece.is_action) {
        if (is_live) result += piece.text;
      } else if (piece.text.starts_with("if ")) {
        result += condition(dot, is_live);
      } else if (piece.text.starts_with("range ")) {
        result += loop(dot, is_live);
      } else if (is_live) {
        result += text_of(piece.text, dot);
      }
    }
    return result;
  }

  /// Passes `else`; true when there is one. Throws when neither that nor `end` comes.
  bool take_else() {
    if (at_ >= pieces_.size()) throw Error(Errc::invalid, "template: 'if' or 'range' without {{end}}");
    if (pieces_[at_].text != "else") return false;
    ++at_;
    return true;
  }

  void require_end() const {
    if (at_ >= pieces_.size() || pieces_[at_].text != "end")
      throw Error(Errc::invalid, "template: 'if' or 'range' without {{end}}");
  }

  std::string condition(const Json& dot, bool is_live) {
    const std::string text = pieces_[at_++].text.substr(3);
    const bool holds = is_live && is_true(evaluate(text, dot, Missing::is_null));
    std::string result = block(dot, is_live && holds);
    if (take_else()) result += block(dot, is_live && !holds);
    require_end();
    return result;
  }

  /// "range .List", "range $value := .List", "range $key, $value := .List".
  std::string loop(const Json& dot, bool is_live) {
    std::string text = pieces_[at_++].text.substr(6);
    std::vector<std::string> names;
    if (const std::size_t assign = text.find(":="); assign != std::string::npos) {
      for (const std::string& name : split(text.substr(0, assign), ',')) names.push_back(trimmed(name));
      text = text.substr(assign + 2);
    }
    if (names.size() > 2 ||
        std::ranges::any_of(names, [](const auto& name) { return !name.starts_with('$'); }))
      throw not_understood(text);
    const Json list = is_live ? evaluate(text, dot) : Json();
    const std::size_t begin = at_;
    std::string result;
    for (const auto& [key, value] : list.items()) {
      at_ = begin;
      if (names.size() == 2) variables_[names.front()] = list.is_array() ? Json(std::stoul(key)) : Json(key);
      if (!names.empty()) variables_[names.back()] = value;
      result += block(value, true);
    }
    if (list.empty()) block(dot, false);
    if (take_else()) result += block(dot, is_live && list.empty());
    require_end();
    return result;
  }

  enum class Missing { is_error, is_null };

  Json evaluate(const std::string& text, const Json& dot, Missing missing = Missing::is_error) const {
    const std::vector<std::string> words = cut_words(text);
    if (words.empty()) throw not_understood(text);
    std::vector<Json> values;
    for (std::size_t i = 1; i < words.size(); ++i) values.push_back(operand(words[i], dot, missing));
    if (values.empty()) return operand(words.front(), dot, missing);
    return call(words.front(), values);
  }

  /// What the action puts in. The template's own characters are put in as they are, those of values are made
  /// printable.
  std::string text_of(const std::string& text, const Json& dot) const {
    const std::vector<std::string> words = cut_words(text);
    const auto value = [&](std::size_t i) { return operand(words[i], dot, Missing::is_error); };
    if (words.size() == 1 && words[0].starts_with('"')) return value(0).get<std::string>();
    if (words.size() == 2 && words[0] == "json") return as_json(value(1));
    if (words.size() == 2 && words[0] == "println") return shown(value(1)) + "\n";
    if (words.size() == 3 && words[0] == "join") return joined(value(1), value(2));
    return shown(evaluate(text, dot));
  }

  static Json call(const std::string& name, const std::vector<Json>& values) {
    if (name == "index") {
      Json found = values.front();
      for (std::size_t i = 1; i < values.size(); ++i) found = element_of(found, values[i]);
      return found;
    }
    if (name == "join" && values.size() == 2) return joined(values[0], values[1]);
    if (values.size() != 1) throw not_understood(name);
    const Json& value = values.front();
    if (name == "json") return as_json(value);
    if (name == "len") return length_of(value);
    if (name == "not") return !is_true(value);
    if (name == "lower") return to_lower(shown(value));
    throw not_understood(name);
  }

  Json operand(const std::string& word, const Json& dot, Missing missing) const {
    if (word.starts_with('(')) {  // a group, and perhaps a member of what it gives
      const std::size_t close = word.rfind(')');
      return member(evaluate(word.substr(1, close - 1), dot, missing), word.substr(close + 1), missing);
    }
    if (word.starts_with('"')) return unescape(word.substr(1, word.size() - 2));
    if (const auto number = parse_number(word)) return *number;
    if (word.starts_with('.')) return member(dot, word, missing);
    const auto variable = variables_.find(word.substr(0, word.find('.')));
    if (!word.starts_with('$') || variable == variables_.end()) throw not_understood(word);
    return member(variable->second, word.substr(variable->first.size()), missing);
  }

  static Json member(const Json& value, const std::string& path, Missing missing) {
    const Json* at = &value;
    for (const std::string& name : split(path, '.')) {
      if (name.empty()) continue;
      if (!at->is_object() || !at->contains(name)) {
        if (missing == Missing::is_null) return {};
        throw Error::make(Errc::invalid, "template: there is no '.{}'", printable(name));
      }
      at = &(*at)[name];
    }
    return *at;
  }

  std::vector<Piece> pieces_;
  std::size_t at_ = 0;
  std::map<std::string, Json, std::less<>> variables_;
};

}  // namespace

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

std::string shown(const Json& value) {
  if (value.is_string()) return printable(value.get<std::string>());
  if (!value.is_array()) return as_json(value);
  std::vector<std::string> parts;
  for (const Json& item : value) parts.push_back(shown(item));
  return fmt::format("[{}]", join(parts, " "));
}

std::string fill_template(const std::string& text, const Json& value) {
  return Filler(text, value).fill();
}

}  // namespace lay::cli
