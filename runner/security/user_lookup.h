#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "runner/spec.h"

namespace lay::runner {

/// Who a process of the container runs as.
struct Account {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> groups;  ///< supplementary; the primary one first if User lists it
  std::string home = "/";
};

/// Finds `user` in the texts of the container's own /etc/passwd and /etc/group, never through NSS, whose
/// modules would be the image's. A name wins over a number; a number needs no entry. Lines that are malformed
/// are passed over. Without an explicit group the memberships of the user are its supplementary groups;
/// user.group_names come on top.
/// Throws not_found when a name has no entry, invalid when a number is out of range.
Account resolve_user(const User& user, std::string_view passwd, std::string_view group);

/// resolve_user with the files of the root folder that the calling process is in. Both are resolved beneath
/// "/", need not be there, must be regular files, and are read up to 4 MiB.
Account look_up_user(const User& user);
/// The same beneath another root; files that are `masked` have nothing in them.
Account look_up_user(const User& user, const UniqueFd& root, const std::vector<std::string>& masked = {});

/// Puts numbers in place of what `process` says of its user, and HOME where it has none.
void settle_user(Process& process, const Account& account);

}  // namespace lay::runner
