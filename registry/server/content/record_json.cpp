#include "server/content/record_json.h"

#include "base/json.h"

namespace lay::registry::server {

using layerstore::Digest;

std::string write_record(const ManifestRecord& record) {
  Json refers_to = Json::array();
  for (const Digest& digest : record.refers_to) refers_to.push_back(digest.to_string());
  Json json{{"descriptor", layerstore::to_json(record.descriptor)},
            {"refersTo", refers_to},
            {"artifactType", record.artifact_type},
            {"soundConfig", record.has_sound_config}};
  if (record.subject) json["subject"] = record.subject->to_string();
  return dump_json(json);
}

ManifestRecord parse_manifest_record(std::string_view text) {
  const Json json = parse_json(text, "record");
  const Json* descriptor = json_find(json, "descriptor");
  ManifestRecord record{.descriptor = layerstore::parse_descriptor(descriptor ? *descriptor : Json())};
  for (const std::string& digest : json_strings(json, "refersTo"))
    record.refers_to.push_back(Digest::parse(digest));
  if (const std::string subject = json_string_or(json, "subject", ""); !subject.empty())
    record.subject = Digest::parse(subject);
  record.artifact_type = json_string_or(json, "artifactType", "");
  record.has_sound_config = json_bool_or(json, "soundConfig", false);
  return record;
}

std::string write_record(const TagRecord& record) {
  return dump_json(Json{{"digest", record.digest.to_string()}, {"mediaType", record.media_type}});
}

TagRecord parse_tag_record(std::string_view text) {
  const Json json = parse_json(text, "record");
  return {.digest = Digest::parse(json_string(json, "digest")), .media_type = json_string(json, "mediaType")};
}

}  // namespace lay::registry::server
