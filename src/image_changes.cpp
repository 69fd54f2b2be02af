#include "image_changes.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "options.h"

namespace lay::cli {

namespace {

constexpr const char* kHint = "-c 'CMD [\"/usr/bin/app\"]', -c 'ENV NAME=value'";

/// Words apart by blanks; quotes and backslashes keep blanks in a word, as in a Containerfile.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  char quote = '\0';
  bool in_word = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote == '\0' && (c == ' ' || c == '\t')) {
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
    } else {
      words.back() += c;
    }
  }
  if (quote != '\0')
    throw Error::make(Errc::invalid, "a quote in '{}' has no end", printable(text)).with_hint(kHint);
  return words;
}

/// "KEY=value KEY=value", or the older "KEY value".
std::vector<std::string> settings_of(const std::string& text) {
  std::vector<std::string> words = words_of(text);
  if (words.empty() || words.front().find('=') != std::string::npos) return words;
  const std::size_t blank = text.find_first_of(" \t");
  if (blank == std::string::npos)
    throw Error::make(Errc::invalid, "'{}' has no value", printable(text)).with_hint(kHint);
  return {text.substr(0, blank) + "=" + text.substr(text.find_first_not_of(" \t", blank))};
}

std::vector<std::string> list_of(const std::string& text) {
  if (!text.starts_with('[')) return words_of(text);
  return json_strings(Json{{"list", parse_json(text, "list '" + printable(text) + "'")}}, "list");
}

/// The flags that say the same.
ImageFlags flags_of(const std::string& instruction, const std::string& value) {
  ImageFlags flags;
  if (instruction == "CMD") {
    flags.cmd = value;
  } else if (instruction == "ENTRYPOINT") {
    flags.entrypoint = value;
  } else if (instruction == "ENV") {
    flags.env = settings_of(value);
  } else if (instruction == "EXPOSE") {
    flags.expose = words_of(value);
  } else if (instruction == "LABEL") {
    flags.labels = settings_of(value);
  } else if (instruction == "STOPSIGNAL") {
    flags.stop_signal = value;
  } else if (instruction == "USER") {
    flags.user = value;
  } else if (instruction == "VOLUME") {
    flags.volumes = list_of(value);
  } else if (instruction == "WORKDIR") {
    flags.workdir = value;
  } else {
    throw Error::make(Errc::unsupported, "instruction '{}' changes no image here", printable(instruction))
        .with_hint("CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME and WORKDIR do");
  }
  return flags;
}

layerstore::RunDefaults with_change(layerstore::RunDefaults base, const std::string& change) {
  const std::size_t end = change.find_first_of(" \t=");
  std::string instruction = change.substr(0, end);
  std::transform(instruction.begin(), instruction.end(), instruction.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const std::size_t begin = end == std::string::npos ? end : change.find_first_not_of(" \t", end + 1);
  if (begin == std::string::npos)
    throw Error(Errc::invalid, "an instruction and what it sets are expected").with_hint(kHint);
  return flags_of(instruction, change.substr(begin)).over(std::move(base));
}

}  // namespace

layerstore::RunDefaults with_changes(layerstore::RunDefaults base, const std::vector<std::string>& changes) {
  for (const std::string& change : changes)
    base = with_context(fmt::format("--change '{}'", printable(change)),
                        [&] { return with_change(std::move(base), change); });
  return base;
}

}  // namespace lay::cli
