#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace lay::cli {

using OrderedJson = nlohmann::ordered_json;

/// Objects and lists as YAML blocks in their order. Strings that a reader of YAML 1.1 or 1.2 could take for
/// anything else are quoted. Throws invalid for text that is not UTF-8, which YAML cannot hold.
std::string write_yaml(const OrderedJson& value);

/// One string as it stands in YAML.
std::string yaml_scalar(const std::string& text);

}  // namespace lay::cli
