#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layerstore/image_config.h"
#include "runner/container.h"

namespace lay::cli {

/// One flag of run as it would be written again: "memory" and "268435456"; a switch has no value.
struct Setting {
  std::string flag;
  std::string value;

  bool operator==(const Setting&) const = default;
};

/// How a container is run, as far as it differs from what its image says and lay does by default.
struct Recipe {
  std::string name;
  std::string image;
  std::optional<std::vector<std::string>> entrypoint;  ///< empty: the image's
  std::vector<std::string> command;                    ///< empty: the image's
  std::vector<Setting> settings;                       ///< in an order of our own
  std::vector<runner::Endpoint> networks;              ///< that users made
};

/// The recipe of a container whose image says `image`. Pure.
Recipe recipe_of(const runner::ContainerConfig& config, const std::string& image_name,
                 const layerstore::RunDefaults& image);
/// Of an image that is run without flags: what it exposes is published as it is.
Recipe recipe_of_image(const std::string& name, const layerstore::RunDefaults& image);

/// What another program reads, and what could not be said in it.
struct Generated {
  std::string text;
  std::vector<std::string> left_out;  ///< flags, "--landlock ro=/usr"
};

Generated generate_quadlet(const Recipe& recipe);
Generated generate_compose(const Recipe& recipe);
enum class WithService { no, yes };
/// A Pod, and perhaps a Service in front of its ports.
Generated generate_kube(const Recipe& recipe, WithService service);

/// "--memory=1g", "--init".
std::string as_flag(const Setting& setting);
/// "a:b" to "a" and "b"; the second is empty without a separator.
std::pair<std::string, std::string> cut(std::string_view text, char separator);

}  // namespace lay::cli
