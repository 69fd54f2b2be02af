#include "layerstore/layer_form.h"

#include "base/error.h"
#include "base/text.h"

namespace lay::layerstore {

std::string_view to_string(LayerForm form) {
  return form == LayerForm::erofs ? "erofs" : "tree";
}

LayerForm parse_layer_form(std::string_view text) {
  for (const LayerForm form : {LayerForm::erofs, LayerForm::tree})
    if (text == to_string(form)) return form;
  throw Error::make(Errc::invalid, "'{}' is no form of a layer", printable(text))
      .with_hint("erofs and tree are");
}

}  // namespace lay::layerstore
