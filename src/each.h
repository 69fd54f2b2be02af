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

/// Does `work` for each item; a failure is reported with its name, and the rest is done all the same. Returns
/// 0, or 1 when any failed. Throws cancelled, and leaves out the rest, when the user asks to stop.
template <class Item, class Name, class Work>
int for_each_of(const std::string& verb, const std::vector<Item>& items, Name name_of, const Work& work) {
  int code = 0;
  for (const Item& item : items) {
    try {
      work(item);
    } catch (Error& error) {
      const std::string name = printable(std::invoke(name_of, item));
      if (error.code() == Errc::cancelled) {
        error.add_context(fmt::format("{} {}", verb, name));
        throw;
      }
      print_error(fmt::format("{} {}: {}", verb, name, error.message()), error.hint());
      code = 1;
    }
  }
  return code;
}

/// The same for names.
inline int for_each_name(const std::string& verb, const std::vector<std::string>& names,
                         const std::function<void(const std::string&)>& work) {
  return for_each_of(verb, names, std::identity(), work);
}

inline bool is_running(const runner::Container& container) {
  return container.state().status == runner::Status::running;
}

}  // namespace lay::cli
