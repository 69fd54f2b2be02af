#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "base/stream.h"
#include "erofs/erofs_reader.h"
#include "erofs/erofs_writer.h"
#include "erofs/tree_builder.h"
#include "fuzz_target.h"
#include "layer_description.h"

namespace {

constexpr std::uint64_t kTarSize = 1024 * 1024;

/// The input as the image of a layer: any damage is found, none does harm.
void read_image(std::string_view text) {
  try {
    lay::layerstore::read_erofs(text, kTarSize);
  } catch (const lay::Error&) {
  }
}

/// The input as a tar: what can be indexed and written can be read back as it was.
void write_image(std::string_view text) {
  lay::StringSource tar(text);
  lay::layerstore::IndexedLayer layer;
  lay::StringSink image;
  try {
    layer = lay::layerstore::index_layer(tar);
    lay::layerstore::write_erofs(layer.tree, text.size(), image);
  } catch (const lay::Error&) {
    return;
  }
  const lay::layerstore::LayerTree read = lay::layerstore::read_erofs(image.text(), text.size());
  if (lay::test::describe_layer_tree(read) != lay::test::describe_layer_tree(layer.tree) ||
      lay::test::regions_of(read) != lay::test::regions_of(layer.tree))
    std::abort();
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  read_image(text);
  write_image(text);
  return 0;
}
