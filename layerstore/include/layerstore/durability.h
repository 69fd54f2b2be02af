#pragma once

namespace lay::layerstore {

enum class Durability {
  synced,    ///< on disk when it is committed
  unsynced,  ///< somebody else sees to it, or its hash is checked after an unclean boot
};

}  // namespace lay::layerstore
