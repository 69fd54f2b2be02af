#include "spec/linux_json.h"

#include <array>

#include "spec/json_fields.h"

namespace lay::runner {

namespace {

/// The spec has the first four, engines write the others.
constexpr std::array<std::pair<RootPropagation, std::string_view>, 8> kPropagations{{
    {RootPropagation::shared, "shared"},
    {RootPropagation::slave, "slave"},
    {RootPropagation::private_, "private"},
    {RootPropagation::unbindable, "unbindable"},
    {RootPropagation::rshared, "rshared"},
    {RootPropagation::rslave, "rslave"},
    {RootPropagation::rprivate, "rprivate"},
    {RootPropagation::runbindable, "runbindable"},
}};

constexpr std::array<std::pair<PersonalityDomain, std::string_view>, 2> kDomains{{
    {PersonalityDomain::linux64, "LINUX"},
    {PersonalityDomain::linux32, "LINUX32"},
}};

PersonalityDomain parse_personality(const Json& json) {
  const std::vector<std::string> flags = json_strings(json, "flags");
  if (!flags.empty())
    throw Error::make(Errc::unsupported, "'flags' has '{}', but runtime-spec 1.2 defines none",
                      printable(flags.front()));
  return value_of_word(kDomains, json_string(json, "domain"), "domain");
}

/// The id becomes the name of a folder.
IntelRdt parse_intel_rdt(const Json& json) {
  IntelRdt result{.class_id = json_string_or(json, "closID", {}),
                  .l3_schema = json_string_or(json, "l3CacheSchema", {}),
                  .memory_schema = json_string_or(json, "memBwSchema", {}),
                  .monitors_cache = json_bool_or(json, "enableCMT", false),
                  .monitors_memory = json_bool_or(json, "enableMBM", false)};
  const std::string& id = result.class_id;
  if (id == "." || id == ".." || id.find_first_of("/\n") != std::string::npos)
    throw Error::make(Errc::invalid, "'closID' is '{}', which cannot be the name of a folder", printable(id));
  return result;
}

Json to_json(const IntelRdt& rdt) {
  Json json = Json::object();
  if (!rdt.class_id.empty()) json["closID"] = rdt.class_id;
  if (!rdt.l3_schema.empty()) json["l3CacheSchema"] = rdt.l3_schema;
  if (!rdt.memory_schema.empty()) json["memBwSchema"] = rdt.memory_schema;
  if (rdt.monitors_cache) json["enableCMT"] = true;
  if (rdt.monitors_memory) json["enableMBM"] = true;
  return json;
}

}  // namespace

void parse_rare_linux(const Json& json, Linux& linux_part) {
  const std::string propagation = json_string_or(json, "rootfsPropagation", {});
  if (!propagation.empty())  // engines write an empty one for the default
    linux_part.root_propagation = value_of_word(kPropagations, propagation, "rootfsPropagation");
  linux_part.mount_label = json_string_or(json, "mountLabel", {});
  if (const Json* personality = json_find(json, "personality"))
    linux_part.personality = with_context("personality", [&] { return parse_personality(*personality); });
  if (const Json* rdt = json_find(json, "intelRdt"))
    linux_part.intel_rdt = with_context("intelRdt", [&] { return parse_intel_rdt(*rdt); });
}

void add_rare_linux(Json& json, const Linux& linux_part) {
  if (linux_part.root_propagation)
    json["rootfsPropagation"] = word_of_value(kPropagations, *linux_part.root_propagation);
  if (!linux_part.mount_label.empty()) json["mountLabel"] = linux_part.mount_label;
  if (linux_part.personality)
    json["personality"] = {{"domain", word_of_value(kDomains, *linux_part.personality)}};
  if (linux_part.intel_rdt) json["intelRdt"] = to_json(*linux_part.intel_rdt);
}

}  // namespace lay::runner
