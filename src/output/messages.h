#pragma once

#include <string>

#include "base/error.h"

namespace lay::cli {

/// Writes `text` to stderr. Never fails: a full disk or a closed pipe there must not end what is under way.
void print_diagnostic(const std::string& text);
/// "lay: MESSAGE" and, when there is one, "hint: HINT", on stderr.
void print_error(const std::string& message, const std::string& hint);
/// print_error for an Error that does not change the outcome.
void print_trouble(const Error& error);
/// "lay: MESSAGE" on stderr: something the user should know though all is well.
void print_note(const std::string& message);

}  // namespace lay::cli
