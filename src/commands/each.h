#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "output/messages.h"

namespace lay::cli {

/// Does `work` for each name; a failure is reported and the rest is done all the same, unless the user asked
/// to stop: that is thrown. Returns 0, or 1 when any failed.
inline int for_each_name(const std::string& verb, const std::vector<std::string>& names,
                         const std::function<void(const std::string&)>& work) {
  int code = 0;
  for (const std::string& name : names) {
    try {
      work(name);
    } catch (Error& error) {
      if (error.code() == Errc::cancelled)
        throw error.add_context(fmt::format("{} {}", verb, printable(name)));
      print_error(fmt::format("{} {}: {}", verb, printable(name), error.message()), error.hint());
      code = 1;
    }
  }
  return code;
}

}  // namespace lay::cli
