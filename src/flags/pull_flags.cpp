#include "flags/pull_flags.h"

#include <fmt/format.h>

#include "base/text.h"

namespace lay::cli {

void RunPullFlags::add_to(Parser& parser) {
  platform.add_to(parser);
  parser.add_option("--pull", when, "missing (default), always, never").type_name("WHEN");
  parser.add_flag("-q,--quiet", quiet, "nothing about pulling");
  connection.add_to(parser);
}

PullPolicy RunPullFlags::policy() const {
  if (when == "missing") return PullPolicy::missing;
  if (when == "always") return PullPolicy::always;
  if (when == "never") return PullPolicy::never;
  throw UsageError{
      fmt::format("--pull '{}' is none of missing, always, never", printable(when)),
      when == "newer" ? "--pull always asks the registry, and fetches only what is not here" : ""};
}

}  // namespace lay::cli
