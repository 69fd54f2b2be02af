#include "flags/flag_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "flags/parser.h"

namespace lay::cli {

namespace {

/// "--no-sync" of "!--no-sync".
std::string_view without_mark(std::string_view name) {
  if (name.starts_with('!')) name.remove_prefix(1);
  return name;
}

/// Whether `names`, separated by commas, have one of which `fits` holds; that one, or nothing.
template <class Fits>
std::string_view find_name(std::string_view names, const Fits& fits) {
  while (!names.empty()) {
    const std::string_view name = names.substr(0, names.find(','));
    if (fits(name)) return name;
    names.remove_prefix(std::min(name.size() + 1, names.size()));
  }
  return {};
}

/// The one that says "yes", or else the only one: "--human" of "-H,--human,!--no-human".
std::string_view long_name(std::string_view names) {
  return find_name(names, [](std::string_view name) { return name.starts_with("--"); });
}

class FlagReader {
 public:
  FlagReader(const std::vector<std::string>& words, std::span<const KnownFlag> known, FlagsEnd end)
      : words_(words), known_(known), end_(end) {
    read_.is_named.resize(known.size());
  }

  FlagWords read() {
    while (at_ < words_.size()) {
      const std::string& word = words_[at_];
      const bool is_plain = word.size() < 2 || word.front() != '-';
      if (word == "--" || (is_plain && end_ == FlagsEnd::at_first_word)) break;
      ++at_;
      if (is_plain)
        add(word);
      else if (word.starts_with("--"))
        read_long(word);
      else
        read_group(word);
    }
    read_.words.insert(read_.words.end(), words_.begin() + static_cast<std::ptrdiff_t>(at_), words_.end());
    return std::move(read_);
  }

 private:
  void add(std::string word) { read_.words.push_back(std::move(word)); }

  /// The next word is a value, whatever it looks like.
  void add_next() {
    if (at_ < words_.size()) add(words_[at_++]);
  }

  /// The flag of this name, which is marked; nothing when there is none.
  const KnownFlag* take(std::string_view wanted) {
    const auto has_it = [&](const KnownFlag& flag) {
      return !find_name(flag.names, [&](std::string_view name) {
                return without_mark(name) == wanted;
              }).empty();
    };
    const auto found = std::ranges::find_if(known_, has_it);
    if (found == known_.end()) return nullptr;
    read_.is_named[static_cast<std::size_t>(found - known_.begin())] = true;
    return &*found;
  }

  /// "--name", "--name=value".
  void read_long(const std::string& word) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const KnownFlag* flag = take(name);
    const bool is_empty = equals == word.size() - 1;
    if (flag == nullptr || (equals != std::string::npos && !is_empty)) return add(word);
    if (flag->kind == FlagKind::truth && is_empty) refuse_truth(name);
    if (flag->kind == FlagKind::truth) return add(word);
    add(name);
    if (is_empty)
      add("");
    else
      add_next();
  }

  /// "-i", "-it", "-it=false", "-itw/srv", "-itw=/srv", "-itw" before "/srv".
  void read_group(const std::string& word) {
    for (std::size_t i = 1; i < word.size(); ++i) {
      const KnownFlag* flag = take(std::string{'-', word[i]});
      if (flag == nullptr) break;
      const bool has_equals = word.compare(i + 1, 1, "=") == 0;
      if (flag->kind == FlagKind::valued) {
        add(has_equals ? word.substr(0, i + 1) : word);
        if (has_equals) return add(word.substr(i + 2));
        if (i + 1 == word.size()) add_next();
        return;
      }
      if (has_equals) return add_truth(word, i, *flag);
    }
    add(word);
  }

  /// "-it=false" as "-i --tty=false", for CLI11 knows no short flag with a truth.
  void add_truth(const std::string& word, std::size_t letter, const KnownFlag& flag) {
    const std::string truth = word.substr(letter + 1);
    if (truth == "=") return refuse_truth({'-', word[letter]});
    const std::string_view name = long_name(flag.names);
    if (name.empty()) return add(word);
    if (letter > 1) add(word.substr(0, letter));
    add(std::string(name) + truth);
  }

  [[noreturn]] static void refuse_truth(const std::string& name) {
    throw UsageError{fmt::format("{}: '' is neither true nor false", name)};
  }

  const std::vector<std::string>& words_;
  std::span<const KnownFlag> known_;
  FlagsEnd end_;
  std::size_t at_ = 0;
  FlagWords read_;
};

}  // namespace

FlagWords read_flag_words(const std::vector<std::string>& words, std::span<const KnownFlag> known,
                          FlagsEnd end) {
  return FlagReader(words, known, end).read();
}

}  // namespace lay::cli
