#include "container/names.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/syscalls.h"
#include "base/text.h"
#include "runner/container.h"

namespace lay::runner {

namespace {

constexpr std::size_t kMaxNameLength = 128;
constexpr std::size_t kIdLength = 64;

constexpr std::array kQualities{
    "amber",  "bold",  "brave",   "bright", "brisk",  "calm",   "clear",  "clever", "coral",  "crisp",
    "deep",   "dusty", "eager",   "early",  "fair",   "fleet",  "fond",   "fresh",  "gentle", "glad",
    "golden", "grand", "green",   "happy",  "hardy",  "honest", "humble", "jolly",  "keen",   "kind",
    "late",   "light", "lively",  "lucky",  "mellow", "merry",  "mild",   "misty",  "neat",   "nimble",
    "noble",  "open",  "patient", "plain",  "proud",  "quick",  "quiet",  "rapid",  "ready",  "rosy",
    "rustic", "sharp", "shy",     "silent", "silver", "smooth", "snowy",  "steady", "still",  "sunny",
    "swift",  "tidy",  "warm",    "witty"};

constexpr std::array kAnimals{
    "adder",  "badger", "bat",     "bear",   "beaver", "bison",  "boar",   "bream", "carp",     "cat",
    "crane",  "crow",   "deer",    "dove",   "duck",   "eagle",  "eel",    "elk",   "falcon",   "ferret",
    "finch",  "fox",    "frog",    "gecko",  "goat",   "goose",  "hare",   "hawk",  "hedgehog", "heron",
    "horse",  "ibex",   "jackdaw", "jay",    "lark",   "linnet", "lizard", "lynx",  "magpie",   "marten",
    "mole",   "moth",   "mouse",   "newt",   "otter",  "owl",    "perch",  "pike",  "plover",   "quail",
    "rabbit", "raven",  "robin",   "salmon", "seal",   "shrew",  "snail",  "stoat", "swan",     "toad",
    "trout",  "vole",   "weasel",  "wren"};

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

}  // namespace

bool is_container_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxNameLength && is_alphanumeric(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return is_alphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

bool is_id_prefix(std::string_view text) {
  return !text.empty() && text.size() <= kIdLength &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string random_name() {
  // not std::random_device, which asks the processor what it has: a virtual machine traps that
  const unsigned long random = std::stoul(sys::random_hex(4), nullptr, 16);
  return std::string(kQualities[random % kQualities.size()]) + "_" +
         kAnimals[random / kQualities.size() % kAnimals.size()];
}

Error no_container(std::string_view name) {
  return Error::make(Errc::not_found, "no container has the name or id '{}'", printable(name))
      .with_hint("'lay ps -a' lists all containers");
}

}  // namespace lay::runner
