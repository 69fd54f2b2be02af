#include "archive/named_entry.h"

#include "base/error.h"
#include "base/text.h"
#include "images/annotations.h"

namespace lay::layerstore {

std::string name_of(const Descriptor& entry) {
  const auto found = entry.annotations.find(kRefName);
  return found == entry.annotations.end() ? "" : found->second;
}

Descriptor choose_entry(const Index& index, const std::string& name) {
  if (name.empty() && index.manifests.size() == 1) return index.manifests.front();
  for (const Descriptor& entry : index.manifests)
    if (!name.empty() && name_of(entry) == name) return entry;
  if (name.empty())
    throw Error::make(Errc::invalid, "{} images are in it, and none was chosen", index.manifests.size())
        .with_hint("append :NAME");
  throw Error::make(Errc::not_found, "no image '{}' is in it", printable(name))
      .with_hint("index.json lists the names: org.opencontainers.image.ref.name");
}

}  // namespace lay::layerstore
