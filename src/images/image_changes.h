#pragma once

#include <string>
#include <vector>

#include "flags/options.h"
#include "layerstore/image_config.h"

namespace lay::cli {

/// `base` with instructions of a Containerfile put over it, in their order, as --change of podman and docker
/// takes them: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME and WORKDIR, with a space or '='
/// behind, and then `flags`. $NAME and ${NAME} stand for variables of the image, but in commands. Throws
/// invalid, and unsupported for other instructions.
layerstore::RunDefaults with_changes(layerstore::RunDefaults base, const std::vector<std::string>& changes,
                                     const ImageFlags& flags = {});

}  // namespace lay::cli
