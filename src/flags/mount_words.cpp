#include "flags/mount_words.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

#include "base/error.h"
#include "base/text.h"

namespace lay::cli {

namespace {

using Words = std::span<const std::string_view>;

constexpr std::array<std::string_view, 2> kWriting{"ro", "rw"};
constexpr std::array<std::string_view, 2> kSuid{"nosuid", "suid"};
constexpr std::array<std::string_view, 2> kDevices{"nodev", "dev"};
constexpr std::array<std::string_view, 2> kExecuting{"noexec", "exec"};
constexpr std::array<std::string_view, 2> kBinding{"rbind", "bind"};
constexpr std::array<std::string_view, 1> kIdMap{"idmap"};
constexpr std::array<std::string_view, 8> kPropagation{"private", "rprivate", "slave",      "rslave",
                                                       "shared",  "rshared",  "unbindable", "runbindable"};

/// Each of words of which only one can hold.
constexpr std::array<Words, 7> kKinds{kWriting, kSuid, kDevices, kExecuting, kBinding, kIdMap, kPropagation};
constexpr std::size_t kAttributes = 4;

/// As in CSV files.
std::string quoted(const std::string& word) {
  std::string result = "\"";
  for (const char letter : word) result.append(letter == '"' ? 2 : 1, letter);
  return result + "\"";
}

bool contains(Words words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

}  // namespace

bool is_attribute(std::string_view word) {
  return std::any_of(kKinds.begin(), kKinds.begin() + kAttributes,
                     [&](Words words) { return contains(words, word); });
}

bool is_propagation_word(std::string_view word) {
  return contains(kPropagation, word);
}

bool is_mount_word(std::string_view word) {
  return std::ranges::any_of(kKinds, [&](Words words) { return contains(words, word); });
}

void put_option(runner::Mount& mount, const std::string& word) {
  for (const Words words : kKinds)
    if (contains(words, word))
      std::erase_if(mount.options, [&](const std::string& option) { return contains(words, option); });
  if (word != "rw") mount.options.push_back(word);
}

void refuse_shared(const std::string& text, const char* flag, const std::string& word) {
  if (word != "shared" && word != "rshared") return;
  throw Error::make(Errc::invalid, "{} '{}': '{}' would let mounts of the container reach the host", flag,
                    printable(text), word)
      .with_hint("rslave lets mounts of the host come in, rprivate (the default) none");
}

std::string place_of(const runner::Mount& mount) {
  return plain_path(mount.destination);
}

std::vector<std::string> split_fields(const std::string& text) {
  std::vector<std::string> fields(1);
  bool is_quoted = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '"' && is_quoted && at + 1 < text.size() && text[at + 1] == '"')
      fields.back() += text[++at];
    else if (text[at] == '"')
      is_quoted = !is_quoted;
    else if (text[at] == ',' && !is_quoted)
      fields.emplace_back();
    else
      fields.back() += text[at];
  }
  return fields;
}

std::string mount_words(const runner::Mount& mount, const std::string& options) {
  std::string words = "type=" + mount.type;
  const auto add = [&](const std::string& word) {
    const bool is_plain = word.find_first_of(",\"") == std::string::npos;
    words += "," + (is_plain ? word : quoted(word));
  };
  if (mount.type == "bind") add("src=" + mount.source);
  add("dst=" + mount.destination);
  for (const std::string& option : split(options, ',')) {
    if (option.empty()) continue;
    const bool is_tmpfs = option.starts_with("size=") || option.starts_with("mode=");
    add(option == "bind" ? "bind-nonrecursive" : is_tmpfs ? "tmpfs-" + option : option);
  }
  return words;
}

std::optional<std::uint32_t> parse_octal(std::string_view text, std::uint32_t most) {
  std::uint32_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (text.empty() || failure != std::errc() || end != text.data() + text.size() || value > most)
    return std::nullopt;
  return value;
}

}  // namespace lay::cli
