#include "output/template.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "output/template_functions.h"
#include "output/template_pieces.h"

namespace lay::cli {

namespace {

/// The words of an action: "texts", `texts` and (groups) are one each, and so is '|'.
class WordCutter {
 public:
  explicit WordCutter(std::string_view text) : text_(text) {}

  std::vector<std::string> cut() {
    for (at_ = 0; at_ < text_.size(); ++at_) take(text_[at_]);
    if (depth_ != 0 || quote_ != '\0') throw template_not_understood(text_);
    end_word();
    return std::move(words_);
  }

 private:
  void take(char c) {
    if (quote_ != '\0') return take_quoted(c);
    if (c == '"' || c == '`') quote_ = c;
    depth_ += c == '(' ? 1 : c == ')' ? -1 : 0;
    if (depth_ < 0) throw template_not_understood(text_);
    if (depth_ > 0 || (!is_blank(c) && c != '|')) {
      word_ += c;
      return;
    }
    end_word();
    if (c == '|') words_.emplace_back("|");
  }

  void take_quoted(char c) {
    word_ += c;
    const bool is_escape = c == '\\' && quote_ == '"' && at_ + 1 < text_.size();
    if (is_escape) word_ += text_[++at_];
    if (c == quote_) quote_ = '\0';
  }

  void end_word() {
    if (!word_.empty()) words_.push_back(std::exchange(word_, {}));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
  char quote_ = '\0';  ///< that closes the text, within one
  std::string word_;
  std::vector<std::string> words_;
};

/// What a text stands for, without its quotes.
std::string literal_of(std::string_view word) {
  const std::string_view inner = word.substr(1, word.size() - 2);
  if (word.front() == '`') return std::string(inner);
  std::string result;
  for (std::size_t i = 0; i < inner.size(); ++i) {
    if (inner[i] != '\\' || i + 1 == inner.size()) {
      result += inner[i];
      continue;
    }
    const char next = inner[++i];
    if (next == 't' || next == 'n')
      result += next == 't' ? '\t' : '\n';
    else if (next == '"' || next == '\\')
      result += next;
    else
      throw template_not_understood(word);
  }
  return result;
}

bool is_literal(std::string_view word) {
  return word.starts_with('"') || word.starts_with('`');
}

/// A number, or a word that stands for a value.
std::optional<Json> constant_of(const std::string& word) {
  if (const auto number = parse_number(word)) return *number;
  const auto below_zero =
      word.starts_with('-') ? parse_number(std::string_view(word).substr(1)) : std::nullopt;
  if (below_zero && *below_zero <= INT64_MAX) return -static_cast<std::int64_t>(*below_zero);
  if (word == "true" || word == "false") return word == "true";
  if (word == "nil") return Json();
  return std::nullopt;
}

/// Whose members users have named: one that is not there is no mistake of the template.
bool is_map_of_users(std::string_view name) {
  static constexpr std::array<std::string_view, 8> kMaps{"Labels",       "Annotations",  "Networks", "Ports",
                                                         "PortBindings", "ExposedPorts", "Volumes",  "Tmpfs"};
  return std::ranges::find(kMaps, name) != kMaps.end();
}

class Filler {
 public:
  Filler(const std::string& text, const Json& value) : pieces_(cut_pieces(text)) { variables_["$"] = value; }

  std::string fill() {
    try {
      std::string result = block(variables_["$"], true);
      if (at_ < pieces_.size())
        throw template_not_understood(pieces_[at_].text);  // else or end without a begin
      return result;
    } catch (const Error& error) {
      throw at_position(error, position_);
    }
  }

 private:
  static bool is_else(const Piece& piece) { return piece.text == "else" || piece.text.starts_with("else "); }

  using Variables = std::map<std::string, Json, std::less<>>;

  /// Variables that were declared in a block are gone at its end, and what had their names before is back.
  class Scope {
   public:
    explicit Scope(Variables& variables) : variables_(variables) {}
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope() {
      for (auto hidden = hidden_.rbegin(); hidden != hidden_.rend(); ++hidden) {
        variables_.erase(hidden->first);
        if (hidden->second) variables_.emplace(hidden->first, *std::move(hidden->second));
      }
    }

    void declare(const std::string& name, Json value) {
      const auto outer = variables_.find(name);
      hidden_.emplace_back(name, outer == variables_.end() ? std::nullopt : std::optional(outer->second));
      variables_[name] = std::move(value);
    }

   private:
    Variables& variables_;
    std::vector<std::pair<std::string, std::optional<Json>>> hidden_;
  };

  /// "$name := .Value", or "$name = .Value" of one that is there.
  struct Setting {
    std::string name;
    bool is_new = false;
    std::string text;
  };

  static std::optional<Setting> cut_setting(const std::string& action) {
    if (!action.starts_with('$')) return std::nullopt;
    const auto is_inside = [](char c) {
      return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0;
    };
    const auto end = std::find_if_not(action.begin() + 1, action.end(), is_inside);
    const std::string rest = trimmed({end, action.end()});
    const bool is_new = rest.starts_with(":=");
    if (end == action.begin() + 1 || (!is_new && !rest.starts_with('='))) return std::nullopt;
    return Setting{.name = {action.begin(), end}, .is_new = is_new, .text = rest.substr(is_new ? 2 : 1)};
  }

  void set_variable(const Setting& setting, const Json& dot, Scope& scope) {
    Json value = evaluate(setting.text, dot).json;
    if (setting.is_new) return scope.declare(setting.name, std::move(value));
    const auto variable = variables_.find(setting.name);
    if (variable == variables_.end()) throw template_not_understood(setting.name);
    variable->second = std::move(value);
  }

  /// Up to the `else` or `end` that closes it, or the end of all. `is_live`: else it is only passed over.
  std::string block(const Json& dot, bool is_live) {
    std::string result;
    Scope scope(variables_);
    for (; at_ < pieces_.size(); ++at_) {
      const Piece& piece = pieces_[at_];
      if (piece.is_action) position_ = piece.position;
      if (piece.is_action && (piece.text == "end" || is_else(piece))) return result;
      if (!piece.is_action) {
        if (is_live) result += piece.text;
      } else if (piece.text.starts_with("if ") || piece.text.starts_with("with ")) {
        result += condition(piece.text, dot, is_live);
      } else if (piece.text.starts_with("range ")) {
        result += loop(dot, is_live);
      } else if (const auto setting = cut_setting(piece.text)) {
        if (is_live) set_variable(*setting, dot, scope);
      } else if (is_live) {
        result += text_of(evaluate(piece.text, dot));
      }
    }
    return result;
  }

  /// Passes `else`; true when there is one. Throws when neither that nor `end` comes for what began at
  /// `begin`.
  bool take_else(std::size_t begin) {
    if (at_ >= pieces_.size()) throw without_end(begin);
    if (pieces_[at_].text != "else") return false;
    ++at_;
    return true;
  }

  void require_end(std::size_t begin) {
    if (at_ >= pieces_.size() || pieces_[at_].text != "end") throw without_end(begin);
  }

  Error without_end(std::size_t begin) {
    position_ = begin;
    return Error(Errc::invalid, "template: 'if', 'with' or 'range' without {{end}}");
  }

  struct Assignment {
    std::vector<std::string> names;  ///< none without ":="
    std::string text;
  };

  /// "$key, $value := .List" taken apart.
  static Assignment cut_assignment(const std::string& text) {
    const std::size_t assign = text.find(":=");
    if (!text.starts_with('$') || assign == std::string::npos) return {.names = {}, .text = text};
    std::vector<std::string> names;
    for (const std::string& name : split(text.substr(0, assign), ',')) names.push_back(trimmed(name));
    if (!std::ranges::all_of(names, [](const auto& name) { return name.starts_with('$'); }))
      throw template_not_understood(text);
    return {.names = std::move(names), .text = text.substr(assign + 2)};
  }

  /// "if .Member", "with .Member", "with $value := .Member", up to its `end`.
  std::string condition(const std::string& action, const Json& dot, bool is_live) {
    ++at_;
    const bool is_with = action.starts_with("with ");
    const auto [names, text] = cut_assignment(trimmed(action.substr(is_with ? 5 : 3)));
    if (names.size() > 1) throw template_not_understood(action);
    const Json value = is_live ? evaluate(text, dot, Missing::is_null).json : Json();
    const Json& inner = is_with ? value : dot;
    if (names.empty() || !is_live) return branches(inner, dot, is_live && is_true(value), is_live);
    Scope scope(variables_);
    scope.declare(names.front(), value);
    return branches(inner, dot, is_true(value), is_live);
  }

  /// What is behind a condition, up to its `end`. `inner` is the dot where it holds.
  std::string branches(const Json& inner, const Json& dot, bool holds, bool is_live) {
    const std::size_t begin = position_;
    std::string result = block(inner, holds);
    if (at_ < pieces_.size() && pieces_[at_].text.starts_with("else ")) {  // has the same end
      const std::string further = trimmed(pieces_[at_].text.substr(5));
      if (!further.starts_with("if ") && !further.starts_with("with "))
        throw template_not_understood(further);
      return result + condition(further, dot, is_live && !holds);
    }
    if (take_else(begin)) result += block(dot, is_live && !holds);
    require_end(begin);
    return result;
  }

  /// "range .List", "range $value := .List", "range $key, $value := .List".
  std::string loop(const Json& dot, bool is_live) {
    const auto [names, text] = cut_assignment(trimmed(pieces_[at_++].text.substr(6)));
    if (names.size() > 2) throw template_not_understood(text);
    const Json list = is_live ? evaluate(text, dot).json : Json();
    const std::size_t begin = at_;
    const std::size_t position = position_;
    std::string result;
    for (const auto& [key, value] : list.items()) {
      at_ = begin;
      if (names.size() == 2) variables_[names.front()] = list.is_array() ? Json(std::stoul(key)) : Json(key);
      if (!names.empty()) variables_[names.back()] = value;
      result += block(value, true);
    }
    if (list.empty()) block(dot, false);
    if (take_else(position)) result += block(dot, is_live && list.empty());
    require_end(position);
    return result;
  }

  enum class Missing { is_error, is_null };

  /// Commands with '|' between them: each gets what the one before it gives as its last argument.
  TemplateValue evaluate(const std::string& text, const Json& dot,
                         Missing missing = Missing::is_error) const {
    const std::vector<std::string> words = WordCutter(text).cut();
    std::optional<TemplateValue> value;
    for (auto begin = words.begin();; ++begin) {
      const auto end = std::find(begin, words.end(), "|");
      if (begin == end) throw template_not_understood(text);
      value = run_command({begin, end}, std::move(value), dot, missing);
      if (end == words.end()) return std::move(*value);
      begin = end;
    }
  }

  /// A function or ".Label" with its arguments, or a value.
  TemplateValue run_command(const std::vector<std::string>& words, std::optional<TemplateValue> last,
                            const Json& dot, Missing missing) const {
    if (words.size() == 1 && !last && !is_function(words.front()))
      return operand(words.front(), dot, missing);
    if (words.front() == "and" || words.front() == "or") return decide(words, std::move(last), dot, missing);
    std::vector<TemplateValue> arguments;
    for (std::size_t i = 1; i < words.size(); ++i) arguments.push_back(operand(words[i], dot, missing));
    if (last) arguments.push_back(std::move(*last));
    if (words.front() == ".Label" && arguments.size() == 1)  // docker's, of lists
      return {.json = element_of(member(dot, ".Labels", missing), arguments.front().json)};
    return call_function(words.front(), arguments);
  }

  /// "and", "or": the first argument that decides it, or the last. Those behind it are not evaluated.
  TemplateValue decide(const std::vector<std::string>& words, std::optional<TemplateValue> last,
                       const Json& dot, Missing missing) const {
    const bool wanted = words.front() == "or";
    TemplateValue value;
    for (std::size_t i = 1; i < words.size(); ++i) {
      value = operand(words[i], dot, missing);
      if (is_true(value.json) == wanted) return value;
    }
    if (words.size() == 1 && !last) throw template_not_understood(words.front());
    return last ? std::move(*last) : value;
  }

  static bool is_function(const std::string& word) {
    return !is_literal(word) && !constant_of(word) && word.find_first_of("(.$") != 0;
  }

  TemplateValue operand(const std::string& word, const Json& dot, Missing missing) const {
    if (word.starts_with('(')) {  // a group, and perhaps a member of what it gives
      const std::size_t close = word.rfind(')');
      TemplateValue value = evaluate(word.substr(1, close - 1), dot, missing);
      if (close + 1 == word.size()) return value;
      return {.json = member(value.json, word.substr(close + 1), missing)};
    }
    if (is_literal(word)) return {.json = literal_of(word), .is_shown = true};
    if (const auto constant = constant_of(word)) return {.json = *constant};
    if (word.starts_with('.')) return {.json = member(dot, word, missing)};
    const auto variable = variables_.find(word.substr(0, word.find('.')));
    if (!word.starts_with('$') || variable == variables_.end()) throw template_not_understood(word);
    return {.json = member(variable->second, word.substr(variable->first.size()), missing)};
  }

  static Json member(const Json& value, const std::string& path, Missing missing) {
    const Json* at = &value;
    std::string_view above;
    const std::vector<std::string> names = split(path, '.');
    for (const std::string& name : names) {
      if (name.empty()) continue;
      if (!at->is_object() || !at->contains(name)) {
        if (missing == Missing::is_null || is_map_of_users(above)) return {};
        throw Error::make(Errc::invalid, "template: there is no '.{}'", printable(name));
      }
      at = &(*at)[name];
      above = name;
    }
    return *at;
  }

  std::vector<Piece> pieces_;
  std::size_t at_ = 0;
  std::size_t position_ = 0;  ///< of the action in hand
  Variables variables_;
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
  if (value.is_null()) return {};
  if (!value.is_array()) return value.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::vector<std::string> parts;
  for (const Json& item : value) parts.push_back(shown(item));
  return fmt::format("[{}]", join(parts, " "));
}

std::string fill_template(const std::string& text, const Json& value) {
  return Filler(text, value).fill();
}

}  // namespace lay::cli
