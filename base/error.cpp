#include "base/error.h"

#include <cerrno>
#include <cstring>

namespace lay {

namespace {

Errc code_of(int error_number) {
  switch (error_number) {
    case ENOENT:
      return Errc::not_found;
    case EEXIST:
      return Errc::exists;
    case EACCES:
    case EPERM:
      return Errc::denied;
    case ENOSPC:
    case EDQUOT:
      return Errc::no_space;
    case EBUSY:
    case ETXTBSY:
    case EADDRINUSE:
      return Errc::busy;
    default:
      return Errc::io;
  }
}

}  // namespace

int current_errno() noexcept {
  return errno;
}

Error::Error(Errc code, std::string message, int error_number)
    : code_(code), error_number_(error_number), message_(std::move(message)) {}

Error Error::from_number(int error_number, std::string message) {
  Error error(code_of(error_number), message + ": " + std::strerror(error_number), error_number);
  if (error.code() == Errc::no_space) error.with_hint("free some space, or use another --root");
  return error;
}

Error& Error::add_context(const std::string& context) {
  message_ = context + ": " + message_;
  return *this;
}

Error& Error::with_hint(std::string hint) {
  hint_ = std::move(hint);
  return *this;
}

}  // namespace lay
