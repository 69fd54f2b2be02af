#pragma once

#include <string>

#include "layerstore/manifest.h"

namespace lay::layerstore {

/// What an entry of a layout's index is called (org.opencontainers.image.ref.name); may be empty.
std::string name_of(const Descriptor& entry);

/// The entry of that name; without a name the only one. Throws invalid, not_found.
Descriptor choose_entry(const Index& index, const std::string& name);

}  // namespace lay::layerstore
