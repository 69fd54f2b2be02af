#include <fmt/format.h>

#include "base/json.h"
#include "base/text.h"
#include "flags/options.h"
#include "oci/oci.h"
#include "output/listing.h"
#include "output/process_table.h"

namespace lay::cli {

namespace {

/// As runc's list: the state, and whose it is.
Json row_of(const runner::OciContainer& container) {
  Json row = container.state();
  row["owner"] = "root";
  return row;
}

void print_table(const std::vector<Json>& rows) {
  constexpr const char* kRow = "{:<24} {:<10} {:<10} {:<40} {:<22} {}\n";
  fmt::print(kRow, "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER");
  for (const Json& row : rows)
    fmt::print(kRow, json_string(row, "id"), json_int(row, "pid"), json_string(row, "status"),
               printable(json_string(row, "bundle")), json_string(row, "created"), json_string(row, "owner"));
}

}  // namespace

int oci_command_state(const OciContext& context, const Arguments& arguments) {
  std::string id;
  Parser parser("oci state", "ID", "Shows a container's state as JSON.");
  parser.add_option("id", id).required();
  parser.parse(arguments);
  fmt::print("{}\n", dump_json_pretty(context.store().find(id).state()));
  return 0;
}

int oci_command_list(const OciContext& context, const Arguments& arguments) {
  std::string format = "table";
  bool is_quiet = false;
  Parser parser("oci list", "[flags]", "Lists containers.");
  parser.add_option("-f,--format", format, "table or json").one_of({"table", "json"});
  parser.add_flag("-q,--quiet", is_quiet, "ids only");
  parser.parse(arguments);
  std::vector<Json> rows;
  for (const runner::OciContainer& container : context.store().list()) {
    if (is_quiet)
      fmt::print("{}\n", container.id());
    else
      rows.push_back(row_of(container));
  }
  if (is_quiet) return 0;
  if (format == "json")
    fmt::print("{}\n", dump_json(Json(rows)));
  else
    print_table(rows);
  return 0;
}

int oci_command_ps(const OciContext& context, const Arguments& arguments) {
  std::string format = "table";
  Parser parser("oci ps", "[flags] ID [PS-OPTIONS]",
                "Lists a container's processes, as the host sees them. PS-OPTIONS are -ef (the default),\n"
                "aux or -eo pid,args.");
  parser.add_option("-f,--format", format, "table or json").one_of({"table", "json"});
  Arguments words = parser.parse_prefix(arguments);
  if (words.empty()) throw UsageError{"which container?"};
  const std::string id = words.front();
  words.erase(words.begin());
  if (format == "json") {
    fmt::print("{}\n", dump_json(Json(runner::oci_processes(context.store(), id))));
    return 0;
  }
  if (words.empty()) words = {"-ef"};
  print_processes(runner::oci_list_processes(context.store(), id), std::move(words), {});
  return 0;
}

}  // namespace lay::cli
