#include "images/image_place.h"

#include <array>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace lay::cli {

namespace {

using Kind = ImagePlace::Kind;

constexpr std::array kTransports{
    std::pair{std::string_view("containers-storage:"), Kind::store},
    std::pair{kRegistryTransport, Kind::registry},
    std::pair{std::string_view("oci:"), Kind::layout},
    std::pair{std::string_view("oci-archive:"), Kind::oci_archive},
    std::pair{std::string_view("docker-archive:"), Kind::docker_archive},
};

}  // namespace

ImagePlace parse_image_place(const std::string& text) {
  for (const auto& [transport, kind] : kTransports) {
    if (!text.starts_with(transport)) continue;
    const std::string rest = text.substr(transport.size());
    if (rest.empty()) throw Error::make(Errc::invalid, "'{}' names nothing", printable(text));
    if (kind == Kind::store || kind == Kind::registry) return {.kind = kind, .name = rest};
    const std::size_t colon = rest.find(':');
    return {.kind = kind,
            .path = rest.substr(0, colon),
            .name = colon == std::string::npos ? "" : rest.substr(colon + 1)};
  }
  for (const char* other : {"dir:", "docker-daemon:", "ostree:", "sif:", "tarball:"})
    if (text.starts_with(other))
      throw Error::make(Errc::unsupported, "'{}': lay does not know this transport", printable(text))
          .with_hint("docker://, oci:, oci-archive:, docker-archive:, or a name of the store");
  return {.kind = Kind::store, .name = text};
}

void require_registry_name(const std::string& text) {
  const ImagePlace place = parse_image_place(text);
  const bool is_name = place.kind == Kind::store && place.name == text;
  if (is_name || place.kind == Kind::registry) return;
  throw Error::make(Errc::invalid, "'{}' is not in a registry", printable(text))
      .with_hint("'lay copy SOURCE TARGET' copies from and to folders and archives");
}

bool is_remote(const std::string& text) {
  return text.starts_with(kRegistryTransport);
}

std::string without_transport(const std::string& text) {
  return is_remote(text) ? text.substr(kRegistryTransport.size()) : text;
}

std::vector<registry::Reference> remote_references(const std::string& name,
                                                   const registry::SharedRegistriesConf& conf) {
  if (is_remote(name)) return {registry::parse_reference(without_transport(name))};
  return registry::resolve_name(conf.get(), name);
}

registry::Reference remote_reference(const std::string& name, const registry::SharedRegistriesConf& conf) {
  return remote_references(name, conf).front();
}

std::set<std::string> registries_of(const std::vector<registry::Reference>& references) {
  std::set<std::string> domains;
  for (const registry::Reference& reference : references) domains.insert(reference.domain);
  return domains;
}

std::set<std::string> registries_of(const std::vector<std::string>& names) {
  std::vector<registry::Reference> references;
  for (const std::string& name : names) try {
      if (is_remote(name)) references.push_back(registry::parse_reference(without_transport(name)));
    } catch (const Error&) {
      continue;  // who asks for it says what is wrong with it
    }
  return registries_of(references);
}

}  // namespace lay::cli
