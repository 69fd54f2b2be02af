#pragma once

#include <string>

#include "command.h"

namespace lay::cli {

/// Finds the verb at the start of `words`, in any of its forms ("images", "image ls", "image list"), and
/// takes it off. Null when there is none; `words` is not empty.
const Command* take_command(Arguments& words);

/// What to say of words that begin with no command: which of them is unknown, and what was meant by it, as
/// far as that can be told.
struct UnknownCommand {
  std::string message;
  std::string hint;
};
UnknownCommand explain_unknown_command(const Arguments& words);

}  // namespace lay::cli
