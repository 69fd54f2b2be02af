#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"

namespace lay::runner {

/// What a container restricts itself to beyond all else, landlock(7). A kind that is not named is not
/// restricted.
struct LandlockRules {
  enum class Access {
    read,   ///< read and execute what is beneath
    write,  ///< everything
  };
  struct Path {
    std::string path;  ///< absolute, of the container
    Access access = Access::read;

    bool operator==(const Path&) const = default;
  };

  std::optional<std::vector<Path>> paths;
  std::optional<std::vector<std::uint16_t>> bind;  ///< TCP ports; an empty list: none
  std::optional<std::vector<std::uint16_t>> connect;
  bool scopes_abstract = false;  ///< no abstract socket of processes outside can be connected to
  bool scopes_signals = false;   ///< no process outside can be sent a signal

  bool operator==(const LandlockRules&) const = default;
};

/// The newest revision of landlock that this kernel has; 0: none, or switched off.
int landlock_abi();

/// "ro=/usr,/lib,rw=/tmp,bind=80,connect=none,scope=abstract,signal": a word without "=" belongs to the key
/// before it. Pure. Throws invalid, with a hint.
LandlockRules parse_landlock(std::string_view text);

/// Throws unsupported when a kernel with this revision cannot do all of it.
void require_landlock(const LandlockRules& rules, int abi);

/// In the child, with all rights inside the container: a ruleset for the paths of the root it is in.
/// Throws not_found for one that is not there.
UniqueFd make_landlock_ruleset(const LandlockRules& rules);
/// For this process and its children, for ever. Needs no_new_privs or CAP_SYS_ADMIN.
void enter_landlock(const UniqueFd& ruleset);

}  // namespace lay::runner
