#include "images/index_parts.h"

#include <cstddef>

namespace lay::layerstore {

namespace {

constexpr std::size_t kMostDepth = 64;
constexpr std::string_view kBlanks = " \t\r\n";

/// One walk over the text; each step returns false where it is not as expected.
class IndexWalk {
 public:
  explicit IndexWalk(std::string_view text) : text_(text) {}

  std::optional<IndexParts> run() {
    while (at_ < text_.size())
      if (!step()) return std::nullopt;
    if (depth_ != 0 || list_end_ == 0) return std::nullopt;
    parts_.frame = std::string(text_.substr(0, list_begin_)).append(text_.substr(list_end_));
    return std::move(parts_);
  }

 private:
  bool is_in_list() const { return list_begin_ != 0 && list_end_ == 0; }
  bool is_between_entries() const { return is_in_list() && depth_ == 2; }

  bool step() {
    const char c = text_[at_];
    if (is_between_entries()) return step_between(c);
    if (c == '"') return pass_string();
    if (c == '[' || c == '{') return open(c);
    if (c == ']' || c == '}') return close();
    ++at_;
    return true;
  }

  /// Entries and commas take turns.
  bool step_between(char c) {
    if (c == ']') {
      if (wants_entry_ && !parts_.manifests.empty()) return false;
      list_end_ = at_;
      return close();
    }
    if (kBlanks.find(c) == std::string_view::npos) {
      if (c != (wants_entry_ ? '{' : ',')) return false;
      if (c == '{') entry_begin_ = at_;
      if (c == '{') return open(c);
      wants_entry_ = true;
    }
    ++at_;
    return true;
  }

  bool open(char c) {
    if (++depth_ > kMostDepth) return false;
    ++at_;
    if (c == '[' && depth_ == 2 && last_text_ == "manifests") list_begin_ = at_;
    return true;
  }

  bool close() {
    if (depth_-- == 0) return false;
    ++at_;
    if (!is_between_entries()) return true;
    parts_.manifests.push_back(text_.substr(entry_begin_, at_ - entry_begin_));
    wants_entry_ = false;
    return true;
  }

  bool pass_string() {
    const std::size_t begin = ++at_;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2U : 1U;
    if (at_ >= text_.size()) return false;
    const std::string_view passed = text_.substr(begin, at_ - begin);
    ++at_;
    return depth_ != 1 || note(passed);
  }

  /// A key or value of the document itself. One that is escaped may be the same key.
  bool note(std::string_view passed) {
    if (passed.find('\\') != std::string_view::npos) return false;
    last_text_ = passed;
    return passed != "manifests" || ++found_ == 1;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  std::string_view last_text_;
  unsigned found_ = 0;
  std::size_t list_begin_ = 0;  ///< behind its bracket; 0: not reached
  std::size_t list_end_ = 0;    ///< at its bracket
  std::size_t entry_begin_ = 0;
  bool wants_entry_ = true;
  IndexParts parts_;
};

}  // namespace

std::optional<IndexParts> split_index(std::string_view text) {
  return IndexWalk(text).run();
}

}  // namespace lay::layerstore
