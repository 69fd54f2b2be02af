#include <fcntl.h>
#include <unistd.h>

#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "flags/options.h"
#include "oci/oci.h"

namespace lay::cli {

namespace {

/// A flag and where its value stands in linux.resources.
struct LimitFlag {
  const char* flag;
  const char* section;
  const char* key;
  const char* about;
};

constexpr std::array kNumbers{
    LimitFlag{"--memory", "memory", "limit", "bytes of memory"},
    LimitFlag{"--memory-reservation", "memory", "reservation", "bytes that are taken from it last"},
    LimitFlag{"--memory-swap", "memory", "swap", "bytes of memory and swap together; -1: no limit"},
    LimitFlag{"--cpu-quota", "cpu", "quota", "microseconds in each period"},
    LimitFlag{"--cpu-period", "cpu", "period", "microseconds"},
    LimitFlag{"--cpu-share", "cpu", "shares", "weight among others; 1024 is the default"},
    LimitFlag{"--cpu-burst", "cpu", "burst", "microseconds that may be saved up"},
    LimitFlag{"--cpu-rt-period", "cpu", "realtimePeriod", "microseconds"},
    LimitFlag{"--cpu-rt-runtime", "cpu", "realtimeRuntime", "microseconds in each period"},
    LimitFlag{"--pids-limit", "pids", "limit", "number of processes; -1: no limit"},
    LimitFlag{"--blkio-weight", "blockIO", "weight", "10 to 1000"},
};

constexpr std::array kTexts{
    LimitFlag{"--cpuset-cpus", "cpu", "cpus", "processors: 0-3,5"},
    LimitFlag{"--cpuset-mems", "cpu", "mems", "memory nodes: 0,1"},
};

Json read_resources(const std::string& file) {
  constexpr std::size_t kLongest = kMaxJsonBytes;
  if (file == "-")
    return runner::parse_oci_json(sys::read_all(UniqueFd{::dup(STDIN_FILENO)}, kLongest), "standard input");
  return runner::parse_oci_json(sys::read_all(sys::open_at(sys::cwd(), file, O_RDONLY), kLongest),
                                printable(file));
}

/// A size with or without a unit, or -1.
std::int64_t parse_limit(const std::string& text) {
  if (text == "-1") return -1;
  const auto value = parse_size(text);
  if (!value || *value > INT64_MAX)
    throw Error::make(Errc::invalid, "'{}' is no number or size", printable(text));
  return static_cast<std::int64_t>(*value);
}

}  // namespace

int oci_command_update(const OciContext& context, const Arguments& arguments) {
  std::string id;
  std::string file;
  std::map<std::string, std::string> given;
  runner::IntelRdt schemata;
  Parser parser("oci update", "[flags] ID", "Gives a container other limits.");
  parser.add_option("-r,--resources", file, "limits as linux.resources has them; - is standard input")
      .type_name("FILE");
  for (const LimitFlag& each : kNumbers) parser.add_option(each.flag, given[each.flag], each.about);
  for (const LimitFlag& each : kTexts) parser.add_option(each.flag, given[each.flag], each.about);
  parser.add_option("--l3-cache-schema", schemata.l3_schema,
                    "L3 cache in its class of resctrl: L3:0=ff;1=ff");
  parser.add_option("--mem-bw-schema", schemata.memory_schema,
                    "memory bandwidth in its class of resctrl: MB:0=50;1=50");
  parser.add_option("id", id).required();
  parser.parse(arguments);
  Json resources = file.empty() ? Json::object() : read_resources(file);
  for (const LimitFlag& each : kNumbers)
    if (const std::string& text = given[each.flag]; !text.empty())
      resources[each.section][each.key] = parse_limit(text);
  for (const LimitFlag& each : kTexts)
    if (const std::string& text = given[each.flag]; !text.empty()) resources[each.section][each.key] = text;
  runner::oci_update(context.store(), id, resources, schemata);
  return 0;
}

}  // namespace lay::cli
