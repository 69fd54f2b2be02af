#include "layerstore/damage.h"

#include <cerrno>

namespace lay::layerstore {

bool is_wrong(const Error& error) {
  return error.code() == Errc::corrupt || error.code() == Errc::invalid;
}

bool is_unreadable(const Error& error) {
  const int number = error.error_number();
  return number == EIO || number == EUCLEAN || number == EBADMSG;
}

bool is_damage(const Error& error) {
  return is_wrong(error) || is_unreadable(error) || error.code() == Errc::not_found ||
         error.code() == Errc::unsupported;
}

bool may_pass(const Error& error) {
  return error.code() == Errc::unavailable || error.code() == Errc::limited ||
         error.code() == Errc::cancelled || error.code() == Errc::unauthorized;
}

}  // namespace lay::layerstore
