#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/stream.h"
#include "base/unique_fd.h"
#include "layerstore/apply.h"
#include "layerstore/descriptor.h"
#include "layerstore/digest.h"
#include "layerstore/durability.h"
#include "layerstore/layer_form.h"

/// What lies in the folder of one layer:
///   layer.tar, layer.erofs   the erofs form
///   tree/                    the tree form; the folder around it stays 0700, whatever mode the image gives
///                            its "/", so that nobody reaches a set-user-id file through the store
///   implied                  folders that the tar only implies, each ended by a NUL; absent without any
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
                              Durability durability = Durability::unsynced);

/// The form of the layer in `layers`/`name`; empty when there is none.
std::optional<LayerForm> find_layer_form(const UniqueFd& layers, const std::string& name);

std::vector<std::string> read_implied(const UniqueFd& dir);

/// Notes that the bytes of `blob` were seen to give this layer.
void note_blob(const UniqueFd& dir, const Descriptor& blob);
/// Those of `from` hold for `to` too, which is the same layer: a note tells of a blob, not of the folder.
void copy_blob_notes(const UniqueFd& from, const UniqueFd& to);
bool has_blob_note(const UniqueFd& dir, const Descriptor& blob);

/// Whether the layer may be used as it is: it is on disk, or it was written since the machine was started.
bool is_trustworthy(const UniqueFd& dir);

/// Reads the erofs form of a layer that an earlier boot left, and makes what depends on the tar again when it
/// is not as it should be; the folder is on disk then. Throws corrupt when the tar is not that of `diff_id`.
void recover_layer_folder(const UniqueFd& dir, const Digest& diff_id);

}  // namespace lay::layerstore
