#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layerstore/store.h"
#include "runner/container.h"

namespace lay::cli {

/// Where this invocation works: --root or LAY_ROOT, and RUN (LAY_RUN in tests).
struct Context {
  std::string root;
  std::string run;
  /// LAY_LAYER_FORM, for tests and for a file system on which the best form goes wrong.
  std::optional<layerstore::LayerForm> layer_form;
  /// --max-unpacked and --max-entries, or LAY_MAX_UNPACKED and LAY_MAX_ENTRIES.
  layerstore::UnpackLimits unpack_limits{};
};

/// The defaults for the invoking user: /var/lib/lay and /run/lay for root, XDG folders otherwise.
Context default_context();

/// "20g", in bytes; throws invalid.
std::uint64_t parse_max_unpacked(const std::string& size);
/// Throws invalid.
std::uint64_t parse_max_entries(const std::string& count);

/// Throws denied, with a hint, unless the user is root: `what` needs it ("run").
void require_root(const std::string& what);

/// Made when it is not there yet: for what will put something into it.
layerstore::Store open_store(const Context& context);
/// For what only reads: makes nothing, and is empty when there is no store yet.
std::optional<layerstore::Store> open_existing_store(const Context& context);
runner::ContainerStore open_containers(const Context& context);

/// What the containers of this root stand on and what its registry serves: collecting must not take it.
/// Everything, when there is a container of which that cannot be read.
layerstore::InUse in_use_by(const layerstore::Store& store, const runner::ContainerStore& containers);

/// When the space of what is removed becomes free.
enum class Freeing {
  now,   ///< before the command ends
  later  ///< of large things, a moment after it
};

/// What to tell after Collecting::gave_way.
constexpr std::string_view kGaveWay =
    "somebody adds to the store or reads it just now: what nobody needs goes with the next prune";

/// Removes what neither a name nor a container needs; tells when a damaged container forbids it. Whether it
/// did.
layerstore::Collecting collect(const layerstore::Store& store, const runner::ContainerStore& containers,
                               Freeing freeing);

/// Keys of ContainerConfig::notes: what src/ wants to remember of a container and the runner does not read.
namespace note {
constexpr const char* kImage = "image";        ///< the name as the user wrote it
constexpr const char* kManifest = "manifest";  ///< digest
constexpr const char* kImageId = "image-id";   ///< digest of the image's config
constexpr const char* kDiffIds = "diff-ids";   ///< comma-separated, lowest first
constexpr const char* kEntrypointWords =
    "entrypoint-words";                                 ///< how many of the command's words it has; none: 0
constexpr const char* kExposedPorts = "exposed-ports";  ///< comma-separated, "80/tcp"; none: no note
}  // namespace note

}  // namespace lay::cli
