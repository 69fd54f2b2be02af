#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "layerstore/descriptor.h"
#include "layerstore/digest.h"

namespace lay::layerstore {

/// image-spec config.md "config": how a container of the image runs unless told otherwise.
struct RunDefaults {
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::vector<std::string> env;  ///< "NAME=value"
  std::string working_dir;
  std::string user;                     ///< "user", "uid", "user:group", "uid:gid"
  std::set<std::string> exposed_ports;  ///< "80/tcp"
  std::set<std::string> volumes;
  std::map<std::string, std::string> labels;
  std::string stop_signal;
};

struct History {
  std::string created;  ///< RFC 3339
  std::string created_by;
  std::string author;
  std::string comment;
  bool empty_layer = false;

  bool operator==(const History&) const = default;
};

/// image-spec config.md.
struct ImageConfig {
  std::string created;  ///< RFC 3339, may be empty
  std::string author;
  std::string architecture;
  std::string os;
  std::string variant;
  RunDefaults run;
  std::vector<Digest> diff_ids;  ///< lowest first
  std::vector<History> history;
  /// The document it was read from, so that members lay does not know survive a commit; empty for a new one.
  std::string source;
};

/// Throws invalid when a member has the wrong type, a required one is missing (architecture, os, diff_ids), a
/// list is absurdly long, or a string that reaches execve(2) holds a NUL.
ImageConfig parse_image_config(std::string_view text);
/// Throws unsupported where the config says that its image is for another system or architecture than
/// `wanted`, naming which. What it leaves empty fits.
void require_platform(const ImageConfig& config, const Platform& wanted);
/// Compact JSON; members of `source` that lay does not know stay as they were.
std::string write_image_config(const ImageConfig& config);

}  // namespace lay::layerstore
