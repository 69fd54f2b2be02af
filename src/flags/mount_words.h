#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/spec.h"

/// The words of -v, --mount and --tmpfs.
namespace lay::cli {

/// "ro", "noexec", "dev" and their like.
bool is_attribute(std::string_view word);
/// "rslave", "private" and their like.
bool is_propagation_word(std::string_view word);
/// Any of those, "bind", "rbind" or "idmap".
bool is_mount_word(std::string_view word);
/// Puts `word` into the options in place of what contradicts it.
void put_option(runner::Mount& mount, const std::string& word);
/// Throws invalid for "shared" and "rshared", which would let mounts of the container reach the host; `text`
/// is what the user gave to `flag`.
void refuse_shared(const std::string& text, const char* flag, const std::string& word);

/// The destination without doubled and trailing slashes.
std::string place_of(const runner::Mount& mount);
/// Fields between commas; one in quotation marks may have commas, and two such marks for one, as in CSV
/// files.
std::vector<std::string> split_fields(const std::string& text);
/// `text` as --mount takes it, with `options` as of --tmpfs or -v.
std::string mount_words(const runner::Mount& mount, const std::string& options);
/// "0755"; empty when it is no octal number up to `most`.
std::optional<std::uint32_t> parse_octal(std::string_view text, std::uint32_t most);

}  // namespace lay::cli
