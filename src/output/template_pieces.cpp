#include "output/template_pieces.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "output/template.h"

namespace lay::cli {

namespace {

/// Cuts a template into texts and actions, without its comments.
class PieceCutter {
 public:
  explicit PieceCutter(const std::string& text) : text_(text) {}

  std::vector<Piece> cut() {
    for (;;) {
      const std::size_t open = text_.find("{{", at_);
      take_plain(open);
      if (open == std::string::npos) return std::move(pieces_);
      position_ = count_characters(std::string_view(text_).substr(0, open));
      const std::size_t close = text_.find("}}", end_of_comment(open + 2));
      if (close == std::string::npos)
        throw at_position(Error(Errc::invalid, "template: '{{' without '}}'"), position_);
      take_action(text_.substr(open + 2, close - open - 2));
      at_ = close + 2;
    }
  }

 private:
  void take_plain(std::size_t end) {
    std::string plain = unescape(text_.substr(at_, end - at_));
    if (trims_) plain.erase(0, std::min(plain.find_first_not_of(" \t\n"), plain.size()));
    pieces_.push_back({.is_action = false, .text = std::move(plain)});
  }

  /// Behind a comment that begins at `begin`, since "}}" may stand in it; `begin` where there is none.
  std::size_t end_of_comment(std::size_t begin) const {
    if (text_[begin] == '-') begin = text_.find_first_not_of(" \t\n", begin + 1);
    if (begin == std::string::npos || text_.compare(begin, 2, "/*") != 0) return begin;
    const std::size_t end = text_.find("*/", begin + 2);
    return end == std::string::npos ? end : end + 2;
  }

  /// "{{- " and " -}}" take the blanks beside them along.
  void take_action(std::string action) {
    if (action.size() > 1 && action.front() == '-' && is_blank(action[1])) {
      action.erase(0, 1);
      std::string& before = pieces_.back().text;
      before.erase(before.find_last_not_of(" \t\n") + 1);
    }
    trims_ = action.size() > 1 && action.back() == '-' && is_blank(action[action.size() - 2]);
    if (trims_) action.pop_back();
    action = trimmed(action);
    if (action.starts_with("/*") && action.ends_with("*/")) return;
    if (action.empty()) throw at_position(Error(Errc::invalid, "template: {{}} is empty"), position_);
    pieces_.push_back({.is_action = true, .text = std::move(action), .position = position_});
  }

  const std::string& text_;
  std::size_t at_ = 0;
  std::size_t position_ = 0;  ///< of the action in hand
  bool trims_ = false;        ///< the blanks that come next
  std::vector<Piece> pieces_;
};

}  // namespace

std::vector<Piece> cut_pieces(const std::string& text) {
  return PieceCutter(text).cut();
}

Error at_position(Error error, std::size_t position) {
  if (position > 0) error.add_context(fmt::format("at character {} of the format", position + 1));
  return error;
}

std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\n");
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(" \t\n") - begin + 1));
}

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n';
}

}  // namespace lay::cli
