#pragma once

#include <functional>
#include <optional>
#include <string>

#include "layerstore/store.h"

namespace lay::layerstore {

/// Gives the images whose `new_name` is not empty that name instead of their own, all in one change of
/// index.json. Who has such a name already loses it to the one that is renamed. Throws as ImageStore::put().
void rename_images(const Store& store,
                   const std::function<std::optional<std::string>(const std::string& name)>& new_name);

}  // namespace lay::layerstore
