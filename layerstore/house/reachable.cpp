#include "house/reachable.h"

#include "base/error.h"
#include "base/text.h"
#include "images/annotations.h"
#include "layerstore/damage.h"
#include "layerstore/image_config.h"
#include "layerstore/manifest.h"
#include "layerstore/media_types.h"

namespace lay::layerstore {

namespace {

void mark(const BlobStore& blobs, const Descriptor& descriptor, int depth, Reachable& found);

void mark_manifest(const BlobStore& blobs, const std::string& text, Reachable& found) {
  const Manifest manifest = parse_manifest(text);
  found.blobs.insert(manifest.config.digest);
  for (const Descriptor& layer : manifest.layers) found.blobs.insert(layer.digest);
  if (!media_type::is_config(manifest.config.media_type) || !blobs.has(manifest.config.digest)) return;
  const ImageConfig config = parse_image_config(blobs.read(manifest.config.digest));
  found.layers.insert(config.diff_ids.begin(), config.diff_ids.end());
}

void mark_index(const BlobStore& blobs, const std::string& text, int depth, Reachable& found) {
  if (depth == kMaxIndexDepth)
    throw Error::make(Errc::invalid, "indexes are nested deeper than {}", kMaxIndexDepth);
  for (const Descriptor& entry : parse_index(text).manifests) mark(blobs, entry, depth + 1, found);
}

void mark(const BlobStore& blobs, const Descriptor& descriptor, int depth, Reachable& found) {
  const bool manifest = media_type::is_manifest(descriptor.media_type);
  const bool index = media_type::is_index(descriptor.media_type);
  found.blobs.insert(descriptor.digest);
  if ((!manifest && !index) || !blobs.has(descriptor.digest)) return;
  if (!found.followed.insert(descriptor.digest).second) return;
  const std::string text = blobs.read(descriptor.digest);
  if (manifest) {
    mark_manifest(blobs, text, found);
  } else {
    mark_index(blobs, text, depth, found);
  }
}

}  // namespace

void mark_reachable(const BlobStore& blobs, const Descriptor& root, Reachable& found) {
  mark(blobs, root, 0, found);
}

void mark_reachable_entry(const BlobStore& blobs, const Descriptor& entry, Reachable& found) {
  try {
    mark_reachable(blobs, entry, found);
  } catch (Error& error) {
    const auto named = entry.annotations.find(kRefName);
    const bool has_name = named != entry.annotations.end();
    const std::string name = printable(has_name ? named->second : entry.digest.to_string());
    error.add_context(fmt::format("image '{}'", name));
    if (is_damage(error)) error.with_hint(fmt::format("lay fsck --repair, or lay rmi {}", name));
    throw;
  }
}

void mark_reachable_manifest(const BlobStore& blobs, const Digest& manifest, Reachable& found) {
  found.blobs.insert(manifest);
  if (blobs.has(manifest) && found.followed.insert(manifest).second)
    mark_manifest(blobs, blobs.read(manifest), found);
}

}  // namespace lay::layerstore
