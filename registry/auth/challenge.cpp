#include "auth/challenge.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/text.h"

namespace lay::registry {

namespace {

constexpr std::size_t kMaxField = 16 * 1024;
constexpr std::size_t kMaxChallenges = 8;
constexpr std::size_t kMaxParameters = 32;

bool is_token_char(char c) {
  const bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  return alphanumeric || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

/// Walks over one field; every step either takes something or leaves the position where it was.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool at_end() const { return text_.empty(); }
  void skip_spaces() { skip(" \t"); }
  void skip_separators() { skip(" \t,"); }
  bool take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  /// Empty when there is no token here.
  std::string_view token() {
    const auto end = std::find_if_not(text_.begin(), text_.end(), is_token_char);
    const std::string_view result = text_.substr(0, static_cast<std::size_t>(end - text_.begin()));
    text_.remove_prefix(result.size());
    return result;
  }
  /// A token or quoted string; empty optional when it is neither, or a quote is not closed.
  std::optional<std::string> value() {
    if (!take('"')) {
      const std::string_view word = token();
      return word.empty() ? std::nullopt : std::optional(std::string(word));
    }
    std::string result;
    while (!text_.empty()) {
      char c = text_.front();
      text_.remove_prefix(1);
      if (c == '"') return result;
      if (c == '\\') {
        if (text_.empty()) break;
        c = text_.front();
        text_.remove_prefix(1);
      }
      result += c;
    }
    return std::nullopt;
  }
  /// Whether "name =" follows, which makes a token a parameter and not the scheme of the next challenge.
  bool parameter_follows() const {
    Scanner ahead = *this;
    if (ahead.token().empty()) return false;
    ahead.skip_spaces();
    return ahead.take('=');
  }

 private:
  void skip(std::string_view characters) {
    text_.remove_prefix(std::min(text_.find_first_not_of(characters), text_.size()));
  }
  std::string_view text_;
};

/// False when something stands there that is no parameter.
bool read_parameters(Scanner& scanner, Challenge& challenge) {
  for (scanner.skip_separators(); scanner.parameter_follows(); scanner.skip_separators()) {
    std::string name = to_lower(scanner.token());
    scanner.skip_spaces();
    scanner.take('=');
    scanner.skip_spaces();
    auto value = scanner.value();
    if (!value || challenge.parameters.size() == kMaxParameters) return false;
    challenge.parameters.emplace(std::move(name), *std::move(value));
  }
  return true;
}

}  // namespace

std::vector<Challenge> parse_challenges(std::string_view field) {
  std::vector<Challenge> challenges;
  if (field.size() > kMaxField) return challenges;
  Scanner scanner(field);
  for (scanner.skip_separators(); !scanner.at_end() && challenges.size() < kMaxChallenges;
       scanner.skip_separators()) {
    Challenge challenge{.scheme = to_lower(scanner.token())};
    if (challenge.scheme.empty()) break;
    if (!read_parameters(scanner, challenge)) break;
    challenges.push_back(std::move(challenge));
  }
  return challenges;
}

}  // namespace lay::registry
