#include "registry/absent.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "client/client.h"
#include "layerstore/layer_pair.h"
#include "registry/registries_conf.h"
#include "transfer/layer_fetch.h"

namespace lay::registry {

namespace {

using layerstore::AbsentBlob;
using layerstore::Descriptor;
using layerstore::Digest;
using layerstore::Store;

/// What is wrong with this machine, or the user's wish to stop: another origin does not help.
bool is_final(const Error& error) {
  return error.code() == Errc::cancelled || error.code() == Errc::no_space || error.code() == Errc::io;
}

void fetch_from(const Store& store, const AbsentBlob& absent, const ImageSource& source,
                const Connection& connection, Progress& progress, const std::stop_token& stop) {
  const RegistryClient client(source.reference, Access::pull, connection);
  const auto task = progress.begin("layer " + absent.blob.digest.short_hex(), absent.blob.size);
  LayerSlots slots;
  fetch_layer(store, client, {.blob = absent.blob, .diff_id = absent.diff_id}, slots, *task, stop);
}

/// Every place to ask for it, and why others are not asked.
struct Places {
  std::vector<std::pair<std::string, ImageSource>> places;  ///< and whose they are
  std::optional<Error> blocked;
};

/// That of the last pull first, each behind its mirrors.
Places places_of(const AbsentBlob& absent) {
  const RegistriesConf conf = read_registries_conf();
  Places found;
  for (auto origin = absent.origins.rbegin(); origin != absent.origins.rend(); ++origin) {
    const Reference reference = parse_reference(*origin);
    try {
      for (ImageSource& source : plan_sources(conf, reference))
        found.places.emplace_back(reference.domain, std::move(source));
    } catch (const Error& error) {
      if (error.code() != Errc::denied) throw;
      found.blocked = error;
    }
  }
  return found;
}

}  // namespace

void fetch_absent(const Store& store, const AbsentBlob& absent, const AbsentRequest& request,
                  Progress& progress) {
  const std::string where = printable(join(absent.origins, ", "));
  const std::string what = "blob " + absent.blob.digest.to_string();
  if (request.tell) request.tell("fetching " + what + ", which was left in " + where);
  map_large_buffers();
  try {
    auto [places, failure] = places_of(absent);
    for (const auto& [domain, source] : places) {
      try {
        const Connection given = request.connection ? request.connection(domain) : Connection{};
        return fetch_from(store, absent, source, connection_to(source, domain, given), progress,
                          request.stop);
      } catch (const Error& error) {
        if (is_final(error)) throw;
        // One that has it no more says less than one that may have it.
        if (!failure || failure->code() == Errc::not_found || error.code() != Errc::not_found)
          failure = error;
      }
    }
    throw failure.value_or(Error(Errc::not_found, "no registry to ask"));
  } catch (Error& error) {
    error.add_context(what + " was left in " + where);
    if (!is_final(error) && error.code() != Errc::unauthorized)
      error.with_hint(
          "'lay pull --all-blobs' of the image gets it when the registry answers; run, export, commit and "
          "'save' in docker's format need the layer alone");
    throw;
  }
}

void fetch_absent_blobs(const Store& store, const layerstore::Image& image, const AbsentRequest& request,
                        Progress& progress) {
  std::set<Digest> seen;  // one layer may occur twice in a stack
  for (const Descriptor& layer : image.manifest.layers) {
    if (!seen.insert(layer.digest).second || store.blobs().has(layer.digest)) continue;
    if (const auto absent = store.absent().find(layer.digest))
      fetch_absent(store, *absent, request, progress);
  }
  layerstore::require_pairs(store, image);
}

}  // namespace lay::registry
