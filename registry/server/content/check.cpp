#include <fcntl.h>
#include <fmt/format.h>

#include "base/syscalls.h"
#include "registry/server.h"
#include "server/content/repositories.h"

namespace lay::registry {

namespace {

using layerstore::Digest;
using server::Link;
using server::Repositories;

class RecordCheck {
 public:
  RecordCheck(const layerstore::BlobStore& blobs, const Repositories& repositories)
      : blobs_(blobs), repositories_(repositories) {}

  void check(const std::string& repository) {
    for (const Link& link : repositories_.blobs(repository))
      if (!blobs_.has(link.digest))
        note(repository, "blob " + link.digest.to_string() + " is not in the store");
    for (const Link& link : repositories_.manifests(repository))
      guarded(repository, [&] {
        if (repositories_.manifest(repository, link.digest) && !blobs_.has(link.digest))
          note(repository, "manifest " + link.digest.to_string() + " is not in the store");
      });
    for (const std::string& tag : repositories_.tags(repository))
      guarded(repository, [&] {
        const auto record = repositories_.tag(repository, tag);
        if (record && !repositories_.manifest(repository, record->digest))
          note(repository, fmt::format("tag '{}' leads to nothing", tag));
      });
  }

  std::vector<std::string> take() { return std::move(problems_); }

 private:
  void note(const std::string& repository, const std::string& problem) {
    problems_.push_back(fmt::format("repository '{}': {}", repository, problem));
  }

  /// A record that cannot be read is noted too.
  template <class Body>
  void guarded(const std::string& repository, Body body) {
    try {
      body();
    } catch (const Error& error) {
      note(repository, error.message());
    }
  }

  const layerstore::BlobStore& blobs_;
  const Repositories& repositories_;
  std::vector<std::string> problems_;
};

}  // namespace

std::vector<std::string> check_records(const layerstore::Store& store) {
  const UniqueFd root = sys::open_dir(sys::cwd(), store.path());
  const auto folder = sys::try_open_at(root, "registry", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!folder) return {};
  const Repositories repositories(*folder);
  RecordCheck check(store.blobs(), repositories);
  for (const std::string& repository : repositories.list()) check.check(repository);
  return check.take();
}

}  // namespace lay::registry
