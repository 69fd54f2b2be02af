#pragma once

#include <string>

namespace lay::cli {

/// Whether a terminal shows what is typed.
enum class Echo { shown, hidden };

/// Shows `question` on stderr and reads one line from stdin, without its end; empty when there is none.
/// Throws cancelled when the user asks to stop (base/cancel.h), and invalid for a line of more than 64 KiB;
/// the terminal is as before in any case.
std::string ask(const std::string& question, Echo echo);

/// Asks "question [y/N] " at the terminal. Throws invalid where there is none: nobody could answer.
///   without  the command that does not ask
bool is_confirmed(const std::string& question, const std::string& without);

}  // namespace lay::cli
