#pragma once

#include <string>

#include "base/syscalls.h"

namespace lay::registry::server {

/// Opens the folder `name` in `parent`; one that is new is there after a power cut too.
inline UniqueFd make_folder(const UniqueFd& parent, const std::string& name) {
  if (sys::try_mkdir_at(parent, name, 0700)) sys::fsync(parent);
  return sys::open_dir(parent, name);
}

}  // namespace lay::registry::server
