#include "command_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "base/text.h"

namespace lay::cli {

namespace {

/// Commands of docker and podman that lay does not have, and the way to what they are for.
struct Elsewhere {
  std::string_view word;
  std::string_view way;
};

constexpr std::array kElsewhere{
    Elsewhere{"attach", "lay logs -f CONTAINER shows its output, lay exec -it CONTAINER sh goes inside"},
    Elsewhere{"build", "lay run, configure it by hand or by a script, lay commit"},
    Elsewhere{"cp",
              "lay exec CONTAINER tar -c PATH | tar -x, and lay exec -i CONTAINER tar -x the other way"},
    Elsewhere{"create", "lay run -d"},
    Elsewhere{"events", "lay ps -a shows what there is, lay wait CONTAINER awaits an end"},
    Elsewhere{"manifest", "lay copy --all keeps what an index lists; lay inspect docker://REF shows it"},
    Elsewhere{"pod", "lay run --network container:NAME --ipc container:NAME --pid container:NAME"},
    Elsewhere{"rename", "lay commit CONTAINER IMAGE, then lay run --name NEW IMAGE"},
    Elsewhere{"search", "lay tags REPOSITORY lists what a registry has of one"},
    Elsewhere{"volume", "folders of the host are volumes: lay run -v /FOLDER:/PLACE"},
};

const Command& command_named(std::string_view name) {
  return *std::ranges::find(all_commands(), name, &Command::name);
}

std::string first_two(const Arguments& words) {
  return words.size() > 1 ? words[0] + " " + words[1] : "";
}

bool is_noun(const std::string& word) {
  const auto begins = [&](std::string_view form) { return form.starts_with(word + " "); };
  return std::ranges::any_of(all_commands(), begins, &Command::alias) ||
         std::ranges::any_of(all_other_words(), begins, &OtherWords::words);
}

/// How many letters have to be added, taken away or changed (Levenshtein's distance).
std::size_t distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (const char letter : from) {
    std::size_t diagonal = row[0]++;
    for (std::size_t i = 0; i < to.size(); ++i) {
      const std::size_t changed = diagonal + (letter == to[i] ? 0 : 1);
      diagonal = row[i + 1];
      row[i + 1] = std::min({changed, row[i] + 1, row[i + 1] + 1});
    }
  }
  return row.back();
}

/// The command that is written almost like `word`; empty when none is.
std::string_view nearest_command(std::string_view word) {
  const auto from_word = [&](const Command& command) { return distance(word, command.name); };
  const Command& nearest = *std::ranges::min_element(all_commands(), {}, from_word);
  constexpr std::size_t kLongest = 20;
  const std::size_t most = word.size() < 4 ? 1 : 2;
  return word.size() <= kLongest && from_word(nearest) <= most ? nearest.name : "";
}

}  // namespace

const Command* take_command(Arguments& words) {
  const std::string noun_form = first_two(words);
  for (const OtherWords& other : all_other_words()) {
    if (other.words != noun_form) continue;
    words.erase(words.begin(), words.begin() + 2);
    if (!other.flag.empty()) words.insert(words.begin(), std::string(other.flag));
    return &command_named(other.command);
  }
  for (const Command& command : all_commands()) {
    const bool by_noun = !command.alias.empty() && command.alias == noun_form;
    if (command.name != words.front() && !by_noun) continue;
    words.erase(words.begin(), words.begin() + (by_noun && command.name != words.front() ? 2 : 1));
    return &command;
  }
  return nullptr;
}

UnknownCommand explain_unknown_command(const Arguments& words) {
  const bool is_pair = words.size() > 1 && is_noun(words[0]);
  UnknownCommand unknown{
      .message = fmt::format("unknown command '{}'", printable(is_pair ? first_two(words) : words[0])),
      .hint = "lay --help"};
  const std::string& verb = is_pair ? words[1] : words[0];
  const auto elsewhere = std::ranges::find(kElsewhere, verb, &Elsewhere::word);
  if (elsewhere != kElsewhere.end())
    unknown.hint = elsewhere->way;
  else if (const std::string_view nearest = nearest_command(verb); !nearest.empty())
    unknown.hint = fmt::format("lay {}? lay --help lists all commands", nearest);
  return unknown;
}

}  // namespace lay::cli
