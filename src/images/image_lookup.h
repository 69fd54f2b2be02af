#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "context.h"
#include "layerstore/store.h"
#include "registry/transfer.h"

namespace lay::cli {

enum class FoundBy {
  name,
  id,  ///< or digest
};

/// An image of the store and the name it was found under.
struct FoundImage {
  std::string name;  ///< empty when it was found by id or digest and has no name
  layerstore::Image image;
  FoundBy by = FoundBy::name;
};

/// What find_image() throws.
Error no_image(const std::string& text, const std::string& root);
/// Finds what the user means by `text`: a local name as written ("myapp:1"), the same as podman names what it
/// built (localhost/myapp:1) or as docker would complete it ("debian:12" for docker.io/library/debian:12), an
/// image id or manifest digest, or an unambiguous prefix of one (at least four digits). "sha256:" before such
/// digits begins no name. Empty when there is none; throws invalid when a prefix fits several, and why an
/// image cannot be read when none of the others fits.
std::optional<FoundImage> try_find_image(const layerstore::Store& store, const std::string& text);
/// As above; throws not_found with a hint.
FoundImage find_image(const layerstore::Store& store, const std::string& text);
/// All names that an id or manifest digest, or an unambiguous prefix of one, leads to. One id may have
/// several manifests, of the same layers in different compressions.
std::vector<FoundImage> find_all_by_id(const layerstore::Store& store, const std::string& text);

/// Pulls what the user means by `text`: a short name as registries.conf says (docker.io without), from the
/// first registry that has it. Stored under its whole name. `request` says how; the name and whom to warn
/// come from here.
FoundImage pull_image(const layerstore::Store& store, const std::string& text,
                      const registry::PullRequest& request, Progress& progress);

/// The store of this root, for a command that reads an image of it; throws not_found, as find_image(), when
/// there is none yet.
layerstore::Store open_store_with(const Context& context, const std::string& image);
/// The same for a command that may pull the image: made when it is not there yet, but not for what can be no
/// name of an image, which throws.
layerstore::Store open_store_to_pull(const Context& context, const std::string& image,
                                     const registry::Connection& connection = {});

}  // namespace lay::cli
