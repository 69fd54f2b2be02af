#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/stream.h"
#include "base/unique_fd.h"
#include "erofs/tree_builder.h"
#include "layerstore/apply.h"
#include "layerstore/descriptor.h"
#include "layerstore/digest.h"
#include "layerstore/durability.h"
#include "layerstore/layer_form.h"
#include "layerstore/lower_link.h"

/// What lies in the folder of one layer:
///   layer.tar, layer.erofs   the erofs form
///   tree/                    the tree form; the folder around it stays 0700, whatever mode the image gives
///                            its "/", so that nobody reaches a set-user-id file through the store
///   implied, whiteouts, entered
///                            the lists of StackedFolders, each path ended by a NUL; absent when empty
///   landed.<key>/            the layer once more, as it is where the layers below have certain symlinks: the
///                            same files but for the tar
///   links                    there only: these symlinks, each path and target ended by a NUL
///   owners                   OwnerIds but root, as u<first>-<last> and g<first>-<last>, and the SHA-256 of
///                            these as =<hex>, each ended by a NUL; always there, so that a lost one is told
///                            from one of a layer that is all root's
///   boot                     id of the boot under which the erofs form was written
///   synced                   it is on disk
///   from.<compression>.<algorithm>.<hex>
///                            empty, for each blob whose bytes were seen to give this layer; both are
///                            digests, so it stays true for ever
namespace lay::layerstore {

constexpr const char* kLayerTar = "layer.tar";
constexpr const char* kLayerImage = "layer.erofs";
constexpr const char* kLayerTree = "tree";

/// Writes the layer of `tar`, read to its very end, into the empty folder `dir`. The erofs form's tar is on
/// its way to the disk then if `durability` says that the caller is going to sync it.
ApplyStats write_layer_folder(const UniqueFd& dir, ByteSource& tar, LayerForm form,
                              Durability durability = Durability::unsynced, const ApplyOptions& options = {});

/// The same for a layer that is already there, as it is where the layers below have `links`.
void write_landed_folder(const UniqueFd& dir, ByteSource& tar, LayerForm form,
                         std::span<const LowerLink> links);

/// Those that write_landed_folder() took; none in other folders.
std::vector<LowerLink> read_links(const UniqueFd& dir);

/// The name of the folder that is for these links.
std::string landed_name(std::span<const LowerLink> links);
/// Names of all such folders in `dir`.
std::vector<std::string> landed_folders(const UniqueFd& dir);

/// The form of the layer in `layers`/`name`; empty when there is none.
std::optional<LayerForm> find_layer_form(const UniqueFd& layers, const std::string& name);

StackedFolders read_folders(const UniqueFd& dir);
/// Empty where there is no record, or another than write_owners() made.
std::optional<OwnerIds> try_read_owners(const UniqueFd& dir);
/// Whether the record tells just these. An older lay made none where all is root's: nobody is misled then.
bool has_owners(const UniqueFd& dir, const OwnerIds& owners);
void write_owners(const UniqueFd& dir, const OwnerIds& owners);

/// Notes that the bytes of `blob` were seen to give this layer.
void note_blob(const UniqueFd& dir, const Descriptor& blob);
/// Those of `from` hold for `to` too, which is the same layer: a note tells of a blob, not of the folder.
void copy_blob_notes(const UniqueFd& from, const UniqueFd& to);
bool has_blob_note(const UniqueFd& dir, const Descriptor& blob);

/// Whether the layer may be used as it is: it is on disk, or it was written since the machine was started.
bool is_trustworthy(const UniqueFd& dir);

/// Whether it was seen on disk.
bool is_synced(const UniqueFd& dir);
/// Brings the erofs form to the disk and notes that.
void sync_layer_folder(const UniqueFd& dir);

/// Reads the tar of the erofs form. Throws corrupt when it is lost, or not that of `diff_id`.
IndexedLayer index_stored_tar(const UniqueFd& dir, const Digest& diff_id);

/// Makes what depends on the tar again; the folder is on disk then.
void rewrite_layer_folder(const UniqueFd& dir, const IndexedLayer& indexed);

}  // namespace lay::layerstore
