#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"

/// Messages over a socket that may carry descriptors: unix(7), SCM_RIGHTS.
namespace lay::runner {

/// More than a process has places to enter: one for each cgroup hierarchy.
constexpr std::size_t kMaxMessageFds = 32;

struct Message {
  std::string text;           ///< empty: the other side is gone
  std::vector<UniqueFd> fds;  ///< what it carried
};

/// Sends `text`, at least one byte, and copies of `fds`, at most kMaxMessageFds, with it.
void send_fds(const UniqueFd& socket, std::string_view text, std::span<const UniqueFd> fds);
void send_fd(const UniqueFd& socket, std::string_view text, const UniqueFd& fd);

/// The next message, of a stream what has arrived, up to `most` bytes. When the other side closed its end
/// with something unread, what it sent before still comes.
Message receive_message(const UniqueFd& socket, std::size_t most);

}  // namespace lay::runner
