#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Flags as users of docker and podman spell them, put into words that CLI11 reads as they do.
namespace lay::cli {

enum class FlagKind {
  truth,   ///< stands alone, or with "=true" or "=false"
  valued,  ///< has a value, behind '=' or as the next word
};

/// A flag in all its spellings: "-t,--tty", "--sync,!--no-sync".
struct KnownFlag {
  std::string_view names;
  FlagKind kind;
};

enum class FlagsEnd {
  at_dashes,      ///< at "--" alone
  at_first_word,  ///< at the first word that is no flag, too: IMAGE of `lay run`
};

struct FlagWords {
  std::vector<std::string> words;
  std::vector<bool> is_named;  ///< of each known flag: the words have it
};

/// The words with each flag as CLI11 understands it. "--name=" has the empty value, where CLI11 would take
/// the next word; "-n=web" has the value "web", where CLI11 would keep the '='; and "-it=false" is "-i
/// --tty=false". Values, unknown flags and what stands behind the end of the flags are left as they are.
/// Throws UsageError for a truth that is empty.
/// Source: pflag (https://github.com/spf13/pflag), which docker and podman read their flags with.
FlagWords read_flag_words(const std::vector<std::string>& words, std::span<const KnownFlag> known,
                          FlagsEnd end);

}  // namespace lay::cli
