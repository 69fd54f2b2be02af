#include "images/source_path.h"

#include <cerrno>

#include "base/error.h"
#include "base/syscalls.h"

namespace lay::cli {

UniqueFd open_source(const std::string& path, int flags) {
  try {
    return sys::open_at(sys::cwd(), path, flags);
  } catch (Error& error) {
    if (error.code() == Errc::not_found)
      error.with_hint(
          "there is nothing of that name here: is it spelled right, and is this the right folder?");
    if (error.error_number() == ENOTDIR) error.with_hint("a folder is wanted, and this is none");
    throw;
  }
}

}  // namespace lay::cli
