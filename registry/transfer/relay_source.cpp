#include "transfer/relay_source.h"

#include "base/error.h"
#include "layerstore/commit.h"
#include "transfer/counting_sink.h"

namespace lay::registry {

using layerstore::Descriptor;
using layerstore::Digest;

Document RegistrySource::get_document(const Descriptor& document) const {
  const std::string digest = document.digest.to_string();
  Document got = client_.get_manifest(digest, document.digest);
  if (got.bytes.size() != document.size)
    throw Error::make(Errc::corrupt, "manifest {}: got {} bytes, expected {}", digest, got.bytes.size(),
                      document.size);
  return got;
}

bool RegistrySource::has_blob(const Digest& digest, const std::stop_token& stop) const {
  return client_.has_blob(digest, stop);
}

void RegistrySource::fetch(const Descriptor& blob, const std::stop_token& stop) const {
  const auto untold = no_progress().begin("", blob.size);
  fetch(blob, *untold, stop);
}

void RegistrySource::fetch(const Descriptor& blob, Progress::Task& task, const std::stop_token& stop) const {
  if (store_.blobs().is_whole(blob)) return;
  layerstore::receive_blob(store_, blob, [&](std::uint64_t offset, ByteSink& out) {
    task.advance(offset);
    CountingSink counted(out, task);
    client_.get_blob(blob, offset, counted, stop);
  });
}

std::string RegistrySource::repository_at(const std::string& domain) const {
  return domain == client_.domain() ? client_.repository() : std::string();
}

Document StoreSource::get_document(const Descriptor& document) const {
  return {.bytes = store_.blobs().read(document.digest),
          .content_type = document.media_type,
          .digest = document.digest};
}

bool StoreSource::has_blob(const Digest& digest, const std::stop_token&) const {
  return store_.blobs().has(digest);
}

}  // namespace lay::registry
