#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/reference.h"

namespace lay::registry {

/// containers-registries.conf(5): what stands in for a registry's name, and where short names lead.
struct RegistriesConf {
  enum class ShortNames { enforcing, permissive, disabled };
  enum class For { all, digest_only, tag_only };
  struct Mirror {
    std::string location;  ///< "host[:port][/path]"
    std::optional<bool> insecure = std::nullopt;
    For used_for = For::all;
  };
  struct Registry {
    std::string prefix;  ///< "host[:port][/path]" or "*.example.com"
    std::string location;
    std::optional<bool> insecure = std::nullopt;
    bool blocked = false;
    std::vector<Mirror> mirrors;
  };

  std::vector<std::string> search;  ///< unqualified-search-registries
  ShortNames short_names = ShortNames::permissive;
  std::map<std::string, std::string> aliases;
  std::vector<Registry> registries;
  /// credential-helpers: who is asked for logins, in order; kAuthFiles stands for the auth files, which an
  /// empty list means as well.
  std::vector<std::string> credential_helpers{std::string(kAuthFiles)};
  static constexpr std::string_view kAuthFiles = "containers-auth.json";
};

/// Puts the settings of `text` over `conf`: lists are replaced as a whole, aliases and registries one by one.
/// Throws invalid, naming what is wrong; unknown keys are let be.
void merge_registries_conf(RegistriesConf& conf, const std::string& text);
/// $CONTAINERS_REGISTRIES_CONF, or else the user's file (~/.config/containers/registries.conf) or
/// /etc/containers/registries.conf; then what lies in registries.conf.d beside, by name; then the aliases
/// that podman has recorded.
RegistriesConf read_registries_conf();

/// What read_registries_conf() gives, read at the first look, once for all copies.
class SharedRegistriesConf {
 public:
  SharedRegistriesConf();
  /// Throws what reading throws, and then reads again when asked again. May run in several threads.
  const RegistriesConf& get() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// One place an image may be fetched from.
struct ImageSource {
  Reference reference;
  std::optional<bool> insecure = std::nullopt;  ///< empty: nobody said
  bool is_mirror = false;
};
/// Mirrors first, then the registry itself. Throws denied when it is blocked.
std::vector<ImageSource> plan_sources(const RegistriesConf& conf, const Reference& reference);
/// What pushes, deletes and lists tags reaches the registry that the name says: no mirror, no "location".
/// Throws denied when it is blocked.
ImageSource plan_target(const RegistriesConf& conf, const Reference& reference);

/// What a name that a user wrote may stand for, in the order to try: itself when it has a host, its alias, or
/// the name in each search registry; docker.io without any setting. Throws invalid when short names have to
/// be resolved by a person ("enforcing", and several registries).
std::vector<Reference> resolve_name(const RegistriesConf& conf, std::string_view text);

}  // namespace lay::registry
