#include <fcntl.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "registry/registries_conf.h"

// toml++ takes some malformed keys for impossible, and with NDEBUG has the compiler rely on that: they are
// refused.
[[noreturn]] static void refuse_toml() {
  throw lay::Error(lay::Errc::invalid, "it is no TOML: a key is malformed");
}
#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(expr) ((expr) ? static_cast<void>(0) : refuse_toml())
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

// The files of containers-registries.conf(5), and where they lie.
namespace lay::registry {

namespace {

using Conf = RegistriesConf;

constexpr std::size_t kMaxFile = 4 * 1024 * 1024;

std::string text_at(const toml::table& table, const char* key) {
  const toml::node* node = table.get(key);
  if (node == nullptr) return {};
  const auto text = node->value<std::string>();
  if (!node->is_string() || !text) throw Error::make(Errc::invalid, "'{}' is not a string", key);
  return *text;
}

bool flag_at(const toml::table& table, const char* key) {
  const toml::node* node = table.get(key);
  if (node == nullptr) return false;
  if (!node->is_boolean()) throw Error::make(Errc::invalid, "'{}' is neither true nor false", key);
  return node->value_or(false);
}

/// The tables of an array of tables; empty when there is none.
std::vector<const toml::table*> tables_at(const toml::table& table, const char* key) {
  std::vector<const toml::table*> tables;
  const toml::node* node = table.get(key);
  if (node == nullptr) return tables;
  const toml::array* array = node->as_array();
  if (array == nullptr) throw Error::make(Errc::invalid, "'{0}' is not written as [[{0}]]", key);
  for (const toml::node& entry : *array) {
    if (!entry.is_table()) throw Error::make(Errc::invalid, "'{0}' is not written as [[{0}]]", key);
    tables.push_back(entry.as_table());
  }
  return tables;
}

Conf::For parse_use(const std::string& text) {
  if (text.empty() || text == "all") return Conf::For::all;
  if (text == "digest-only") return Conf::For::digest_only;
  if (text == "tag-only") return Conf::For::tag_only;
  throw Error::make(Errc::invalid, "pull-from-mirror '{}' is none of all, digest-only, tag-only",
                    printable(text));
}

Conf::ShortNames parse_short_names(const std::string& text) {
  if (text == "enforcing") return Conf::ShortNames::enforcing;
  if (text == "permissive") return Conf::ShortNames::permissive;
  if (text == "disabled") return Conf::ShortNames::disabled;
  throw Error::make(Errc::invalid, "short-name-mode '{}' is none of enforcing, permissive, disabled",
                    printable(text));
}

/// "host[:port][/path]": what a reference's beginning may be.
void check_location(const std::string& text, const char* key) {
  if (text.empty()) throw Error::make(Errc::invalid, "a registry has neither prefix nor location");
  if (text.find("://") != std::string::npos || text.back() == '/')
    throw Error::make(Errc::invalid, "{} '{}' is not host[:port][/path]", key, printable(text));
  const std::string host = text.starts_with("*.") ? text.substr(2) : text;
  const bool has_path = host.find('/') != std::string::npos;
  with_context(key, [&] { parse_reference(has_path ? host : host + "/x"); });
}

Conf::Registry parse_registry(const toml::table& table) {
  Conf::Registry registry{.prefix = text_at(table, "prefix"), .location = text_at(table, "location")};
  if (registry.prefix.empty()) registry.prefix = registry.location;
  check_location(registry.prefix, "prefix");
  if (!registry.location.empty()) check_location(registry.location, "location");
  registry.insecure = flag_at(table, "insecure");
  registry.blocked = flag_at(table, "blocked");
  const bool digest_only = flag_at(table, "mirror-by-digest-only");
  for (const toml::table* entry : tables_at(table, "mirror")) {
    Conf::Mirror mirror{.location = text_at(*entry, "location")};
    check_location(mirror.location, "mirror");
    mirror.insecure = flag_at(*entry, "insecure");
    mirror.used_for = digest_only ? Conf::For::digest_only : parse_use(text_at(*entry, "pull-from-mirror"));
    registry.mirrors.push_back(std::move(mirror));
  }
  return registry;
}

void merge_table(Conf& conf, const toml::table& table) {
  if (const toml::node* search = table.get("unqualified-search-registries")) {
    if (!search->is_array()) throw Error(Errc::invalid, "'unqualified-search-registries' is not a list");
    conf.search.clear();
    for (const toml::node& host : *search->as_array()) {
      if (!host.is_string())
        throw Error(Errc::invalid, "'unqualified-search-registries' is not a list of names");
      conf.search.push_back(host.value_or(std::string()));
      check_location(conf.search.back(), "unqualified-search-registries");
    }
  }
  if (const std::string mode = text_at(table, "short-name-mode"); !mode.empty())
    conf.short_names = parse_short_names(mode);
  if (const toml::node* aliases = table.get("aliases")) {
    if (!aliases->is_table()) throw Error(Errc::invalid, "'aliases' is not a table");
    for (const auto& [name, target] : *aliases->as_table())
      conf.aliases.insert_or_assign(std::string(name.str()), target.value_or(std::string()));
  }
  for (const toml::table* entry : tables_at(table, "registry")) {
    Conf::Registry registry = parse_registry(*entry);
    std::erase_if(conf.registries, [&](const Conf::Registry& old) { return old.prefix == registry.prefix; });
    conf.registries.push_back(std::move(registry));
  }
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string user_folder() {
  const std::string config = variable("XDG_CONFIG_HOME");
  const std::string home = variable("HOME");
  if (config.empty() && home.empty()) return {};
  return (config.empty() ? home + "/.config" : config) + "/containers";
}

/// False when there is no such file.
bool merge_file(Conf& conf, const std::string& path) {
  return with_context(fmt::format("'{}'", path), [&] {
    const auto file = sys::try_open_at(sys::cwd(), path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!file) return false;
    merge_registries_conf(conf, sys::read_all(*file, kMaxFile));
    return true;
  });
}

void merge_folder(Conf& conf, const std::string& folder) {
  std::error_code error;
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    if (entry.path().extension() == ".conf") paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) merge_file(conf, path);
}

}  // namespace

void merge_registries_conf(RegistriesConf& conf, const std::string& text) {
  try {
    merge_table(conf, toml::parse(text));
  } catch (const toml::parse_error& error) {
    throw Error::make(Errc::invalid, "line {}: {}", error.source().begin.line,
                      printable(std::string(error.description())));
  }
}

RegistriesConf read_registries_conf() {
  RegistriesConf conf;
  const std::string chosen = variable("CONTAINERS_REGISTRIES_CONF");
  if (!chosen.empty()) {
    if (!merge_file(conf, chosen)) throw Error::make(Errc::not_found, "no file '{}'", chosen);
    return conf;
  }
  const std::string user = user_folder();
  if (user.empty() || !merge_file(conf, user + "/registries.conf"))
    merge_file(conf, "/etc/containers/registries.conf");
  merge_folder(conf, "/etc/containers/registries.conf.d");
  if (!user.empty()) merge_folder(conf, user + "/registries.conf.d");
  const std::string home = variable("HOME");
  if (!home.empty()) merge_file(conf, home + "/.cache/containers/short-name-aliases.conf");
  return conf;
}

}  // namespace lay::registry
