#include "flags/rdt_flags.h"

#include <string_view>

#include "base/error.h"
#include "base/text.h"

namespace lay::cli {

namespace {

/// "L3:0=f;1=f" or several such lines: the resource, and for each domain a value. What of it the processor
/// has, the kernel says.
void check_schema(const char* flag, const std::string& text, std::string_view resource) {
  for (const std::string& line : split(text, '\n')) {
    if (line.empty()) continue;
    if (!line.starts_with(resource) || line.find('=') == std::string::npos)
      throw Error::make(Errc::invalid, "{} '{}' is no schema of resctrl", flag, printable(line))
          .with_hint(fmt::format("{} '{}'", flag, resource == "L3" ? "L3:0=ff;1=ff" : "MB:0=50;1=50"));
  }
}

}  // namespace

void RdtFlags::add_to(Parser& parser) {
  parser.add_option("--l3-cache-schema", l3_schema, "the L3 cache it gets, through resctrl: L3:0=ff;1=ff")
      .type_name("SCHEMA");
  parser
      .add_option("--mem-bw-schema", memory_schema,
                  "the memory bandwidth it gets, through resctrl: MB:0=50;1=50")
      .type_name("SCHEMA");
}

void RdtFlags::apply(std::optional<runner::IntelRdt>& rdt) const {
  if (!are_given()) return;
  check_schema("--l3-cache-schema", l3_schema, "L3");
  check_schema("--mem-bw-schema", memory_schema, "MB:");
  if (!rdt) rdt.emplace();
  if (!rdt->class_id.empty())
    throw Error::make(Errc::invalid, "class '{}' of resctrl has its own schema, for all that are in it",
                      printable(rdt->class_id))
        .with_hint("give a schema without --rdt-class: the container gets a class of its own");
  if (!l3_schema.empty()) rdt->l3_schema = l3_schema;
  if (!memory_schema.empty()) rdt->memory_schema = memory_schema;
}

}  // namespace lay::cli
