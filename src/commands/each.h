#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "output/messages.h"
#include "parser.h"
#include "runner/container.h"

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

/// The names as given, or with --all those of every container that `is_meant`. Throws UsageError for both or
/// neither.
inline std::vector<std::string> names_or_all(
    const runner::ContainerStore& containers, const std::vector<std::string>& names, bool all,
    const std::function<bool(const runner::ContainerState&)>& is_meant) {
  if (all != names.empty()) throw UsageError{all ? "--all or containers, not both" : "container is required"};
  if (!all) return names;
  std::vector<std::string> found;
  for (const runner::Container& container : containers.list())
    if (is_meant(container.state())) found.push_back(container.config().name);
  return found;
}

}  // namespace lay::cli
