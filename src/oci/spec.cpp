#include <fcntl.h>
#include <fmt/format.h>

#include "base/error.h"
#include "base/json.h"
#include "base/syscalls.h"
#include "flags/options.h"
#include "oci/oci.h"

namespace lay::cli {

int oci_command_spec(const OciContext&, const Arguments& arguments) {
  std::string bundle = ".";
  bool is_rootless = false;
  Parser parser("oci spec", "[flags]", "Writes a configuration to begin with: config.json.");
  parser.add_option("-b,--bundle", bundle, "folder to write it to; the current one").type_name("DIR");
  parser.add_flag("--rootless", is_rootless, "for an ordinary user");
  parser.parse(arguments);
  const std::string path = bundle + "/config.json";
  if (sys::try_stat_at(sys::cwd(), path))
    throw Error::make(Errc::exists, "file '{}' is there already", path).with_hint("remove it first");
  const Json json =
      runner::oci_template(is_rootless ? runner::OciSpecKind::rootless : runner::OciSpecKind::root);
  sys::write_all(sys::open_at(sys::cwd(), path, O_WRONLY | O_CREAT | O_EXCL, 0666),
                 dump_json_pretty(json) + "\n");
  return 0;
}

int oci_command_features(const OciContext&, const Arguments& arguments) {
  Parser parser("oci features", "", "Shows what this runtime can do, as JSON.");
  parser.parse(arguments);
  fmt::print("{}\n", dump_json_pretty(runner::oci_features()));
  return 0;
}

}  // namespace lay::cli
