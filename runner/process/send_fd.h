#pragma once

#include <sys/socket.h>

#include <array>
#include <string_view>

#include "base/unique_fd.h"

namespace lay::runner {

/// Room for one descriptor beside a message: unix(7), SCM_RIGHTS.
union FdControl {
  cmsghdr align;
  std::array<char, CMSG_SPACE(sizeof(int))> bytes;
};

/// Sends `text`, at least one byte, and a copy of `fd` with it.
void send_fd(const UniqueFd& socket, std::string_view text, const UniqueFd& fd);

}  // namespace lay::runner
