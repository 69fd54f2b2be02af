#include "flags/log_flags.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "flags/options.h"

namespace lay::cli {

namespace {

/// lay has one format of its own; podman too takes json-file for its own, so that scripts go on working.
constexpr std::array<std::string_view, 4> kFiles{"", "k8s-file", "json-file", "local"};
constexpr std::uint64_t kLeast = 4096;

std::uint64_t parse_bytes(std::string_view text) {
  const auto size = parse_size(text);
  if (!size || *size == 0)
    throw Error::make(Errc::invalid, "--log-opt max-size '{}' is no size", printable(text))
        .with_hint("10m, 512k, 1g");
  return *size;
}

std::uint64_t parse_files(std::string_view text) {
  const auto files = parse_number(text);
  if (!files || *files == 0 || *files > 1000)
    throw Error::make(Errc::invalid, "--log-opt max-file '{}' is not between 1 and 1000", printable(text));
  return *files;
}

}  // namespace

void LogFlags::add_to(Parser& parser) {
  parser.add_option("--log-driver", driver, "k8s-file (default), none").type_name("NAME");
  parser.add_list("--log-opt", options, "max-size=SIZE, max-file=N: the log takes no more than their product",
                  "KEY=VALUE");
}

runner::LogConfig LogFlags::parse() const {
  runner::LogConfig log{.is_kept = driver != "none"};
  if (log.is_kept && std::find(kFiles.begin(), kFiles.end(), driver) == kFiles.end())
    throw Error::make(Errc::unsupported, "--log-driver '{}': lay keeps logs in files only", printable(driver))
        .with_hint("k8s-file, or none and let the program log for itself");
  std::uint64_t files = 1;
  for (const std::string& option : options) {
    if (option.starts_with("max-size="))
      log.max_bytes = parse_bytes(std::string_view(option).substr(9));
    else if (option.starts_with("max-file="))
      files = parse_files(std::string_view(option).substr(9));
    else
      throw Error::make(Errc::unsupported, "--log-opt '{}' is not known", printable(option))
          .with_hint("max-size=10m, max-file=3");
  }
  if (log.max_bytes > std::numeric_limits<std::uint64_t>::max() / files)
    throw Error(Errc::invalid, "--log-opt: max-size times max-file is beyond all measure");
  log.max_bytes = std::max(kLeast, log.max_bytes * files);
  return log;
}

}  // namespace lay::cli
