#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "registry/reference.h"
#include "registry/registries_conf.h"

namespace lay::cli {

/// Where an image is or goes, as `copy` takes it (containers-transports(5)).
struct ImagePlace {
  enum class Kind {
    store,           ///< NAME, or containers-storage:NAME
    registry,        ///< docker://NAME
    layout,          ///< oci:FOLDER[:NAME]
    oci_archive,     ///< oci-archive:FILE[:NAME]
    docker_archive,  ///< docker-archive:FILE[:NAME], FILE:@N for the Nth from 0
  } kind = Kind::store;
  std::string path{};  ///< of the folder or file
  std::string name{};  ///< of the image; may be empty where there is a path
};

/// Throws invalid for transports that lay does not know.
ImagePlace parse_image_place(const std::string& text);

/// Throws invalid for what names a folder, an archive or the like: `pull` and `push` know registries alone.
void require_registry_name(const std::string& text);

constexpr std::string_view kRegistryTransport = "docker://";
bool is_remote(const std::string& text);
/// The name without "docker://".
std::string without_transport(const std::string& text);
/// What a name may stand for in registries, in the order to try. Behind docker:// a short name is one of
/// docker.io, as with skopeo; else it means what registries.conf says. Never empty.
std::vector<registry::Reference> remote_references(const std::string& name,
                                                   const registry::SharedRegistriesConf& conf);
/// The first of them.
registry::Reference remote_reference(const std::string& name, const registry::SharedRegistriesConf& conf);
std::set<std::string> registries_of(const std::vector<registry::Reference>& references);
/// Those of all docker:// names among `names`; what is no name is left out.
std::set<std::string> registries_of(const std::vector<std::string>& names);

}  // namespace lay::cli
