#include "images/image_changes.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

namespace lay::cli {

namespace {

using Environment = std::vector<std::string>;

constexpr const char* kHint = "-c 'CMD [\"/usr/bin/app\"]', -c 'ENV NAME=value'";
constexpr const char* kBlanks = " \t\r\n";

bool is_name_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

/// Empty without one, as in a shell.
std::string variable(const Environment& env, std::string_view name) {
  for (const std::string& entry : env)
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=')
      return entry.substr(name.size() + 1);
  return "";
}

/// What $NAME or ${NAME} at `at` stands for, which is moved to the last of its characters. A '$' before what
/// begins no name is one.
std::string expanded_at(std::string_view text, std::size_t& at, const Environment& env) {
  const bool braced = text.substr(at + 1).starts_with('{');
  const std::size_t begin = at + (braced ? 2 : 1);
  std::size_t end = begin;
  while (end < text.size() && is_name_character(text[end])) ++end;
  const std::string_view name = text.substr(begin, end - begin);
  const bool is_name = !name.empty() && std::isdigit(static_cast<unsigned char>(name.front())) == 0;
  if (!braced && !is_name) return "$";
  if (!is_name || (braced && !text.substr(end).starts_with('}')))
    throw Error::make(Errc::unsupported, "'{}' begins with no variable that can be put in",
                      printable(text.substr(at)))
        .with_hint("$NAME or ${NAME} for a variable of the image, \\$ for a dollar sign");
  at = braced ? end : end - 1;
  return variable(env, name);
}

enum class AtBlanks { split, keep };

/// Words apart by blanks; quotes and backslashes keep blanks in a word, and outside of single quotes
/// variables are put in, as in a Containerfile.
std::vector<std::string> words_of(std::string_view text, const Environment& env,
                                  AtBlanks at_blanks = AtBlanks::split) {
  std::vector<std::string> words;
  char quote = '\0';
  bool in_word = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (at_blanks == AtBlanks::split && quote == '\0' && (c == ' ' || c == '\t')) {
      in_word = false;
      continue;
    }
    if (!std::exchange(in_word, true)) words.emplace_back();
    if (quote == '\0' && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == quote) {
      quote = '\0';
    } else if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
      words.back() += text[++i];
    } else if (c == '$' && quote != '\'') {
      words.back() += expanded_at(text, i, env);
    } else {
      words.back() += c;
    }
  }
  if (quote != '\0')
    throw Error::make(Errc::invalid, "a quote in '{}' has no end", printable(text)).with_hint(kHint);
  return words;
}

/// The whole as one word.
std::string word_of(const std::string& text, const Environment& env) {
  const std::vector<std::string> words = words_of(text, env, AtBlanks::keep);
  return words.empty() ? "" : words.front();
}

/// "KEY=value KEY=value", or the older "KEY value".
std::vector<std::string> settings_of(const std::string& text, const Environment& env) {
  std::vector<std::string> words = words_of(text, env);
  const auto has_value = [](const std::string& word) { return word.find('=') != std::string::npos; };
  if (words.empty() || has_value(words.front())) {
    const auto bare = std::find_if_not(words.begin(), words.end(), has_value);
    if (bare == words.end()) return words;
    throw Error::make(Errc::invalid, "'{}' has no value", printable(*bare)).with_hint(kHint);
  }
  const std::size_t blank = text.find_first_of(" \t");
  if (blank == std::string::npos)
    throw Error::make(Errc::invalid, "'{}' has no value", printable(text)).with_hint(kHint);
  return {text.substr(0, blank) + "=" + word_of(text.substr(text.find_first_not_of(" \t", blank)), env)};
}

std::vector<std::string> list_of(const std::string& text, const Environment& env) {
  if (!text.starts_with('[')) return words_of(text, env);
  std::vector<std::string> list =
      json_strings(Json{{"list", parse_json(text, "list '" + printable(text) + "'")}}, "list");
  for (std::string& element : list) element = word_of(element, env);
  return list;
}

/// The flags that say the same, with variables of `env`; in commands the container's shell puts them in.
ImageFlags flags_of(const std::string& instruction, const std::string& value, const Environment& env) {
  ImageFlags flags;
  if (instruction == "CMD") {
    flags.cmd = value;
  } else if (instruction == "ENTRYPOINT") {
    flags.entrypoint = value;
  } else if (instruction == "ENV") {
    flags.env = settings_of(value, env);
  } else if (instruction == "EXPOSE") {
    flags.expose = words_of(value, env);
  } else if (instruction == "LABEL") {
    flags.labels = settings_of(value, env);
  } else if (instruction == "STOPSIGNAL") {
    flags.stop_signal = word_of(value, env);
  } else if (instruction == "USER") {
    flags.user = word_of(value, env);
  } else if (instruction == "VOLUME") {
    flags.volumes = list_of(value, env);
  } else if (instruction == "WORKDIR") {
    flags.workdir = word_of(value, env);
  } else {
    throw Error::make(Errc::unsupported, "instruction '{}' changes no image here", printable(instruction))
        .with_hint("CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME and WORKDIR do");
  }
  return flags;
}

ImageFlags parse_change(const std::string& change, const Environment& env) {
  const std::size_t end = change.find_first_of(" \t=");
  std::string instruction = change.substr(0, end);
  std::transform(instruction.begin(), instruction.end(), instruction.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const std::size_t begin = end == std::string::npos ? end : change.find_first_not_of(kBlanks, end + 1);
  if (begin == std::string::npos)
    throw Error(Errc::invalid, "an instruction and what it sets are expected").with_hint(kHint);
  const std::size_t last = change.find_last_not_of(kBlanks);
  return flags_of(instruction, change.substr(begin, last + 1 - begin), env);
}

}  // namespace

layerstore::RunDefaults with_changes(layerstore::RunDefaults base, const std::vector<std::string>& changes,
                                     const ImageFlags& flags) {
  std::optional<std::string> cmd;
  const auto put_over = [&](ImageFlags next) {
    if (next.cmd) cmd = next.cmd;
    next.cmd = cmd;  // an entrypoint voids the command of the base, not one that was given here
    base = next.over(std::move(base));
  };
  for (const std::string& change : changes)
    with_context(fmt::format("--change '{}'", printable(change)),
                 [&] { put_over(parse_change(change, base.env)); });
  put_over(flags);
  return base;
}

}  // namespace lay::cli
