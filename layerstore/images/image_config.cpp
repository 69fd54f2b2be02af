#include "layerstore/image_config.h"

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "images/annotations.h"
#include "layerstore/manifest.h"

namespace lay::layerstore {

namespace {

constexpr std::size_t kMaxEntries = 10'000;  // of a list or map; no real image has a hundredth of it

/// execve(2) and the kernel's paths end at a NUL: what stands behind it would be dropped unseen.
void refuse_nul(const std::string& text, const char* key) {
  if (text.find('\0') != std::string::npos) throw Error::make(Errc::invalid, "'{}' holds a NUL byte", key);
}

void require_count(std::size_t count, std::size_t limit, const char* key) {
  if (count > limit)
    throw Error::make(Errc::invalid, "'{}' holds {} entries, expected at most {}", key, count, limit);
}

std::string parse_text(const Json& json, const char* key) {
  std::string text = json_string_or(json, key, "");
  refuse_nul(text, key);
  return text;
}

std::vector<std::string> parse_list(const Json& json, const char* key) {
  std::vector<std::string> list = json_strings(json, key);
  require_count(list.size(), kMaxEntries, key);
  for (const std::string& item : list) refuse_nul(item, key);
  return list;
}

/// A set in Go's notation: {"80/tcp": {}}.
std::set<std::string> parse_set(const Json& json, const char* key) {
  const Json* map = json_find(json, key);
  if (map == nullptr) return {};
  if (!map->is_object())
    throw Error::make(Errc::invalid, "'{}' is {}, expected an object", key, map->type_name());
  require_count(map->size(), kMaxEntries, key);
  std::set<std::string> result;
  for (const auto& [name, value] : map->items()) {
    if (!value.is_object() && !value.is_null())
      throw Error::make(Errc::invalid, "'{}' of '{}' is {}, expected an empty object", printable(name), key,
                        value.type_name());
    refuse_nul(name, key);
    result.insert(name);
  }
  return result;
}

std::string parse_date(const Json& json, const char* key) {
  std::string date = json_string_or(json, key, "");
  if (!date.empty() && !parse_time(date))
    throw Error::make(Errc::invalid, "'{}' is '{}', expected a time as in RFC 3339", key,
                      printable(std::string_view(date).substr(0, 80)));
  return date;
}

RunDefaults parse_run(const Json& json) {
  RunDefaults run{.entrypoint = parse_list(json, "Entrypoint"),
                  .cmd = parse_list(json, "Cmd"),
                  .env = parse_list(json, "Env"),
                  .working_dir = parse_text(json, "WorkingDir"),
                  .user = parse_text(json, "User"),
                  .exposed_ports = parse_set(json, "ExposedPorts"),
                  .volumes = parse_set(json, "Volumes"),
                  .labels = parse_string_map(json, "Labels"),
                  .stop_signal = parse_text(json, "StopSignal")};
  require_count(run.labels.size(), kMaxEntries, "Labels");
  return run;
}

History parse_history(const Json& json) {
  return {.created = parse_date(json, "created"),
          .created_by = json_string_or(json, "created_by", ""),
          .author = json_string_or(json, "author", ""),
          .comment = json_string_or(json, "comment", ""),
          .empty_layer = json_bool_or(json, "empty_layer", false)};
}

std::vector<Digest> parse_diff_ids(const Json& json) {
  const Json* rootfs = json_find(json, "rootfs");
  if (rootfs == nullptr) throw Error::make(Errc::invalid, "'rootfs' is missing");
  if (const std::string type = json_string(*rootfs, "type"); type != "layers")
    throw Error::make(Errc::invalid, "'type' of 'rootfs' is '{}', expected 'layers'",
                      printable(std::string_view(type).substr(0, 80)));
  if (json_find(*rootfs, "diff_ids") == nullptr) throw Error::make(Errc::invalid, "'diff_ids' is missing");
  const std::vector<std::string> texts = json_strings(*rootfs, "diff_ids");
  require_count(texts.size(), kMaxLayers, "diff_ids");
  std::vector<Digest> result;
  for (const std::string& text : texts) result.push_back(Digest::parse(text));
  return result;
}

/// An empty value removes the member: absent and empty mean the same in every one of them.
template <class Value>
void set_or_erase(Json& json, const char* key, const Value& value) {
  if (value.empty()) {
    json.erase(key);
  } else {
    json[key] = value;
  }
}

void set_or_erase_set(Json& json, const char* key, const std::set<std::string>& names) {
  json.erase(key);
  for (const std::string& name : names) json[key][name] = Json::object();
}

Json write_run(Json json, const RunDefaults& run) {
  set_or_erase(json, "Entrypoint", run.entrypoint);
  set_or_erase(json, "Cmd", run.cmd);
  set_or_erase(json, "Env", run.env);
  set_or_erase(json, "WorkingDir", run.working_dir);
  set_or_erase(json, "User", run.user);
  set_or_erase_set(json, "ExposedPorts", run.exposed_ports);
  set_or_erase_set(json, "Volumes", run.volumes);
  set_or_erase(json, "Labels", run.labels);
  set_or_erase(json, "StopSignal", run.stop_signal);
  return json;
}

Json write_history(const History& history) {
  Json json = Json::object();
  set_or_erase(json, "created", history.created);
  set_or_erase(json, "created_by", history.created_by);
  set_or_erase(json, "author", history.author);
  set_or_erase(json, "comment", history.comment);
  if (history.empty_layer) json["empty_layer"] = true;
  return json;
}

/// Entries that did not change keep the form they had, unknown members included.
Json write_histories(const Json& before, const std::vector<History>& histories) {
  Json list = Json::array();
  for (std::size_t i = 0; i < histories.size(); ++i) {
    const bool same = i < before.size() && parse_history(before[i]) == histories[i];
    list.push_back(same ? before[i] : write_history(histories[i]));
  }
  return list;
}

}  // namespace

ImageConfig parse_image_config(std::string_view text) {
  const Json json = parse_json(text, "image config");
  return with_context("image config", [&] {
    ImageConfig result{.created = parse_date(json, "created"),
                       .author = json_string_or(json, "author", ""),
                       .architecture = json_string(json, "architecture"),
                       .os = json_string(json, "os"),
                       .variant = json_string_or(json, "variant", ""),
                       .diff_ids = parse_diff_ids(json),
                       .source = std::string(text)};
    if (const Json* run = json_find(json, "config"))
      result.run = with_context("config", [&] { return parse_run(*run); });
    const Json& histories = json_array(json, "history");
    require_count(histories.size(), kMaxEntries, "history");
    for (const Json& history : histories)
      result.history.push_back(with_context("history", [&] { return parse_history(history); }));
    return result;
  });
}

void require_platform(const ImageConfig& config, const Platform& wanted) {
  // Old and hand-made images may say nothing about their platform.
  const bool same_os = config.os.empty() || config.os == wanted.os;
  const bool same_architecture = config.architecture.empty() || config.architecture == wanted.architecture;
  if (same_os && same_architecture) return;
  const std::string offered = to_string(Platform{config.os, config.architecture, config.variant});
  throw Error::make(Errc::unsupported, "the image is for {}, expected {}", printable(offered),
                    to_string(wanted))
      .with_hint("ask for it with --platform " + printable(offered));
}

std::string write_image_config(const ImageConfig& config) {
  Json json = config.source.empty() ? Json::object() : parse_json(config.source, "image config");
  set_or_erase(json, "created", config.created);
  set_or_erase(json, "author", config.author);
  json["architecture"] = config.architecture;
  json["os"] = config.os;
  set_or_erase(json, "variant", config.variant);

  const Json* run = json_find(json, "config");
  json["config"] = write_run(run == nullptr ? Json::object() : *run, config.run);

  Json& rootfs = json["rootfs"];
  rootfs["type"] = "layers";
  rootfs["diff_ids"] = Json::array();
  for (const Digest& diff_id : config.diff_ids) rootfs["diff_ids"].push_back(diff_id.to_string());

  json["history"] = write_histories(json_array(json, "history"), config.history);
  return dump_json(json);
}

}  // namespace lay::layerstore
