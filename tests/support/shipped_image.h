#pragma once

#include <chrono>
#include <string>

#include "docker_registry.h"
#include "registry/transfer.h"
#include "store_support.h"

namespace lay::test {

/// Who the fault proxy gives tokens to.
inline const registry::Credentials kAnn{.username = "ann", .password = "s3cret:pw"};
/// Tries as often as users' transfers, without their waits.
inline const registry::Patience kQuick{
    .retries = 3, .first_delay = std::chrono::milliseconds{10}, .stall_seconds = 1};

/// An image of one small and one large layer in a registry, and in the store it was pushed from.
struct ShippedImage {
  DockerRegistry registry;
  TempStore store;
  TempFolder scratch;
  layerstore::Image image = make();

  explicit ShippedImage(const std::string& name = "team/app:1") {
    registry::push(store.store, image.descriptor,
                   {.reference = registry::parse_reference(registry.host() + "/" + name)}, no_progress());
  }

  const layerstore::Descriptor& big() const { return image.manifest.layers.back(); }

 private:
  layerstore::Image make() {
    make_tree(scratch, "base", "mkdir etc; echo one >etc/motd");
    const layerstore::Image base = import(store.store, tar_of(scratch.path() + "/base"), "base");
    const UniqueFd upper = make_tree(scratch, "upper", "mkdir etc; head -c 3000000 /dev/urandom >etc/big");
    return layerstore::commit_upper(store.store, upper, "app:1", {.base = base}, no_progress());
  }
};

}  // namespace lay::test
