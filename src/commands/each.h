#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "flags/options.h"
#include "output/messages.h"
#include "runner/container.h"

namespace lay::cli {

/// What becomes of a name of which there is no container.
enum class Missing { is_error, is_ignored };

/// Does `work` for each name; a failure is reported and the rest is done all the same. Returns 0, or 1 when
/// any failed. Throws cancelled, and leaves out the rest, when the user asks to stop.
inline int for_each_name(const std::string& verb, const std::vector<std::string>& names,
                         const std::function<void(const std::string&)>& work,
                         Missing missing = Missing::is_error) {
  int code = 0;
  for (const std::string& name : names) {
    try {
      work(name);
    } catch (Error& error) {
      if (error.code() == Errc::cancelled) {
        error.add_context(fmt::format("{} {}", verb, printable(name)));
        throw;
      }
      if (error.code() == Errc::not_found && missing == Missing::is_ignored) continue;
      print_error(fmt::format("{} {}: {}", verb, printable(name), error.message()), error.hint());
      code = 1;
    }
  }
  return code;
}

inline bool is_running(const runner::Container& container) {
  return container.state().status == runner::Status::running;
}

}  // namespace lay::cli
