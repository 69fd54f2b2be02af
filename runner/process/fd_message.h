#pragma once

#include <string>
#include <string_view>

#include "base/unique_fd.h"

/// Messages over a socket that may carry a descriptor: unix(7), SCM_RIGHTS.
namespace lay::runner {

struct Message {
  std::string text;  ///< empty: the other side is gone
  UniqueFd fd;       ///< empty: it carried none
};

/// Sends `text`, at least one byte, and a copy of `fd` with it.
void send_fd(const UniqueFd& socket, std::string_view text, const UniqueFd& fd);

/// The next message, of a stream what has arrived, up to `most` bytes. When the other side closed its end
/// with something unread, what it sent before still comes.
Message receive_message(const UniqueFd& socket, std::size_t most);

}  // namespace lay::runner
