#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

/// The outer grammar of templates (template.h): what is text, and what stands between {{ and }}.
namespace lay::cli {

/// Text, or what stands between {{ and }}.
struct Piece {
  bool is_action = false;
  std::string text;
  std::size_t position = 0;  ///< of an action's "{{" in the template, in characters
};

/// Cuts a template, without its comments; "\t" and "\n" in its texts are what they stand for. Throws invalid
/// where an action is empty or has no end.
std::vector<Piece> cut_pieces(const std::string& text);

/// "at character 7 of the format: …"; of the first nothing, since that tells nobody more.
Error at_position(Error error, std::size_t position);

/// Without the blanks around it.
std::string trimmed(std::string_view text);
bool is_blank(char c);

}  // namespace lay::cli
