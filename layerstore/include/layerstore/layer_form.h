#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lay::layerstore {

/// How a layer lies ready to be mounted. The kernel and the user's rights decide, never the image.
enum class LayerForm {
  erofs,  ///< its tar, and an EROFS image over it that shows the files; nothing is unpacked
  tree,   ///< unpacked in overlay notation
};

std::string_view to_string(LayerForm form);
/// "erofs" or "tree"; throws invalid.
LayerForm parse_layer_form(std::string_view text);

/// The form that new layers take, and why.
struct FormChoice {
  LayerForm form = LayerForm::tree;
  std::string reason;
};

}  // namespace lay::layerstore
