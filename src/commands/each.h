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

/// Does `work` for each name; a failure is reported and the rest is done all the same. Returns 0, or 1 when
/// any failed. Throws cancelled, and leaves out the rest, when the user asks to stop.
inline int for_each_name(const std::string& verb, const std::vector<std::string>& names,
                         const std::function<void(const std::string&)>& work) {
  int code = 0;
  for (const std::string& name : names) {
    try {
      work(name);
    } catch (Error& error) {
      if (error.code() == Errc::cancelled) {
        error.add_context(fmt::format("{} {}", verb, printable(name)));
        throw;
      }
      print_error(fmt::format("{} {}: {}", verb, printable(name), error.message()), error.hint());
      code = 1;
    }
  }
  return code;
}

/// The containers that a command is for: those that were named, or all with --all, of which none may be
/// there. Throws UsageError when neither or both are given.
template <class Wanted>
std::vector<std::string> chosen_containers(const runner::ContainerStore& containers,
                                           std::vector<std::string> names, bool all,
                                           const Wanted& is_wanted) {
  if (all == !names.empty())
    throw UsageError{all ? "--all goes without names" : "which container? --all takes all"};
  if (!all) return names;
  for (const runner::Container& container : containers.list())
    if (is_wanted(container)) names.push_back(container.config().name);
  return names;
}

inline bool is_running(const runner::Container& container) {
  return container.state().status == runner::Status::running;
}

}  // namespace lay::cli
