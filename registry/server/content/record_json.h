#pragma once

#include <string>
#include <string_view>

#include "server/content/repositories.h"

/// The form of the registry's records on disk.
namespace lay::registry::server {

std::string write_record(const ManifestRecord& record);
/// Throws invalid.
ManifestRecord parse_manifest_record(std::string_view text);

std::string write_record(const TagRecord& record);
TagRecord parse_tag_record(std::string_view text);

}  // namespace lay::registry::server
