#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "base/slots.h"
#include "base/unique_fd.h"
#include "layerstore/codec.h"
#include "layerstore/diff.h"
#include "layerstore/image_config.h"
#include "layerstore/media_types.h"
#include "layerstore/store.h"

namespace lay::layerstore {

/// A folder written as a compressed layer blob: both hashes come from the one pass.
struct WrittenLayer {
  Descriptor blob;
  Digest diff_id;
  DiffStats stats;
};

/// Writes `folder` as a layer blob into the store, durably; `lowers` as for write_diff(), called from another
/// thread. The caller holds Store::share().
WrittenLayer write_layer(const Store& store, const UniqueFd& folder, TreeKind kind,
                         const CompressOptions& options, Progress& progress, const OpenLowers& lowers = {});

/// What the new layer is to its base's.
enum class Layering {
  on_top,      ///< of them
  in_place_of  ///< them: it is the whole root, and the base gives the config alone
};

/// What becomes of an upper, or of a folder or tar: the same for commit_upper() and the imports, which have
/// no base.
struct CommitRequest {
  std::optional<Image> base;  ///< the image the upper was made on; none: the upper is the whole root
  Layering layering = Layering::on_top;
  /// Docker's has no zstd layers: those of the base are compressed anew.
  media_type::ManifestFormat format = media_type::ManifestFormat::oci;
  std::vector<Descriptor> base_layers;  ///< of the base, from layers_for(); empty: they are made at the end
  std::optional<Platform> platform;     ///< of an image without a base, if not this machine's
  RunDefaults run;  ///< as the new image shall have it: the base's defaults with the user's changes
  History
      history;  ///< of the new layer; `created` is the image's time too (empty: the newest time in the layer)
  CompressOptions compression;
  TreeKind kind = TreeKind::upper;               ///< trusted_upper when it is known how the upper was mounted
  std::function<void(const std::string&)> warn;  ///< told what is, or may be, left out
  OpenLowers lowers;  ///< of the upper, for what only points into them; none: such uppers are unsupported
};

/// The layers of `base` as a manifest of that format may list them, stored durably: what takes its time can
/// so be done before something stands still. The caller holds Store::share(), until the commit is done.
std::vector<Descriptor> layers_for(const Store& store, const Image& base, media_type::ManifestFormat format,
                                   Progress& progress);

/// Tells what may be missing in an upper whose overlay kept an index elsewhere.
void tell_lost_index(const DiffStats& stats, const std::function<void(const std::string&)>& warn);

/// Captures an overlay upper as a new image on `base` and gives it `name`: blob, config, manifest, then name,
/// each durable before the next. Returns the new image.
Image commit_upper(const Store& store, const UniqueFd& upper, const std::string& name,
                   const CommitRequest& request, Progress& progress);

/// Makes a base image of a folder.
Image import_folder(const Store& store, const UniqueFd& folder, const std::string& name,
                    const CommitRequest& request, Progress& progress);

/// Makes a base image of a tar: plain, gzip or zstd, by its first bytes. Its uncompressed bytes become the
/// layer unchanged, but for access lists that it has as text, attributes instead, and for attributes of a
/// nested overlay, which are escaped. It is made ready to run in
/// the same pass, so what cannot be run is refused here.
Image import_tar(const Store& store, ByteSource& tar, const std::string& name, const CommitRequest& request,
                 Progress& progress);

/// Stores a layer blob that streams in from elsewhere (a registry, an archive) and unpacks it in the same
/// pass: verified against `blob` and `diff_id` before either becomes visible. The caller holds
/// Store::share().
void receive_layer(const Store& store, ByteSource& compressed, const Descriptor& blob, const Digest& diff_id);

/// Writes the bytes of a blob from `offset` on to `out`, and may call it from any thread.
using FetchRest = std::function<void(std::uint64_t offset, ByteSink& out)>;

/// As above, of a blob that `fetch` brings while it is unpacked, which begins when there is a place among
/// `makers`: until then, the blob only grows on disk. What came before a failure that may pass
/// (unavailable, cancelled, unauthorized, or a kill) is kept, and the next call asks for the rest only. When
/// what was kept does not fit, it is thrown away and everything fetched. `check` is called while it waits for
/// a place, and throws when there is nothing to wait for any more.
void receive_layer(const Store& store, const Descriptor& blob, const Digest& diff_id, const FetchRest& fetch,
                   Slots& makers, const std::function<void()>& check);

/// Stores a blob that `fetch` brings, whatever it is, verified; what came before a failure is kept as above.
/// The caller holds Store::share().
void receive_blob(const Store& store, const Descriptor& blob, const FetchRest& fetch);

/// Whether the layer can be had from what the store holds, and makes it ready if so. False when the blob is
/// absent or damaged: receiving it heals that. Throws corrupt when the blob is another layer. The caller
/// holds Store::share().
bool is_layer_stored(const Store& store, const Descriptor& blob, const Digest& diff_id);

/// The blob of an uncompressed layer is the tar of its mounted form: where that is here, and what `diff_id`
/// says, it becomes the blob as well. False when there is none. The caller holds Store::share().
bool store_plain_blob(const Store& store, const Descriptor& blob, const Digest& diff_id);

/// Makes a layer of a stored image ready to mount. Throws corrupt when its blob, where it is there, is
/// another layer: whoever pushed the image here only said that they belong together. The caller holds
/// Store::share().
void ensure_layer(const Store& store, const Descriptor& blob, const Digest& diff_id);

}  // namespace lay::layerstore
