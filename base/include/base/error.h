#pragma once

#include <fmt/format.h>

#include <exception>
#include <string>
#include <utility>

namespace lay {

/// What kind of failure it is, for callers that branch on it; people read the message.
enum class Errc {
  io,             ///< a system call failed in a way nobody expects
  not_found,      ///< what was named is not there
  exists,         ///< what was to be made is there already
  invalid,        ///< input that breaks a grammar or a specification
  corrupt,        ///< bytes that are not what their digest says
  unsupported,    ///< valid, but not something lay or this machine can do
  denied,         ///< the kernel or a registry refuses this user
  unauthorized,   ///< a registry wants (other) credentials
  unavailable,    ///< a registry that is down, drops or stalls
  limited,        ///< a registry that wants to be asked for parts of a blob later; of all else unavailable
  no_space,       ///< disk or quota full
  busy,           ///< in use by somebody else: a name, a port, a lock
  cancelled,      ///< the user asked to stop
  not_invocable,  ///< a container's command is there but cannot be executed (exit code 126)
  no_command,     ///< a container's command is not there (exit code 127)
};

/// A failure: what failed, where, the reason last, with an optional hint about what to do.
/// Lower case, no full stop, names quoted, never a secret.
class Error : public std::exception {
 public:
  Error(Errc code, std::string message, int error_number = 0);

  /// `throw Error::make(Errc::invalid, "tag '{}' is longer than 128 characters", tag)`.
  template <class... Args>
  static Error make(Errc code, fmt::format_string<Args...> format, Args&&... args) {
    return Error(code, fmt::format(format, std::forward<Args>(args)...));
  }

  /// Takes errno, which the caller must not have touched since the failing call; appends its text.
  template <class... Args>
  static Error from_errno(fmt::format_string<Args...> format, Args&&... args);

  /// As from_errno, for an error number that was kept.
  static Error from_number(int error_number, std::string message);

  /// Puts where it happened in front: "context: message".
  Error& add_context(const std::string& context);
  Error& with_hint(std::string hint);

  const char* what() const noexcept override { return message_.c_str(); }
  const std::string& message() const { return message_; }
  const std::string& hint() const { return hint_; }
  Errc code() const { return code_; }
  /// errno of the failing system call, 0 when there was none.
  int error_number() const { return error_number_; }

 private:
  Errc code_;
  int error_number_;
  std::string message_;
  std::string hint_;
};

/// Current errno, read through a function so that from_errno can take it before formatting.
int current_errno() noexcept;

template <class... Args>
Error Error::from_errno(fmt::format_string<Args...> format, Args&&... args) {
  const int number = current_errno();
  return from_number(number, fmt::format(format, std::forward<Args>(args)...));
}

/// Runs `body`; a lay::Error that leaves it gets `context` put in front.
template <class Body>
decltype(auto) with_context(const std::string& context, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (Error& error) {
    error.add_context(context);
    throw;
  }
}

}  // namespace lay
