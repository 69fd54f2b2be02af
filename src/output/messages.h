#pragma once

#include <string>

namespace lay::cli {

/// "lay: MESSAGE" and, when there is one, "hint: HINT", on stderr.
void print_error(const std::string& message, const std::string& hint);
/// "lay: MESSAGE" on stderr: something the user should know though all is well.
void print_note(const std::string& message);

}  // namespace lay::cli
