#include "layerstore/whole_image.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "error_of.h"
#include "layerstore/media_types.h"

namespace lay::layerstore {

namespace {

Descriptor described(const std::string& bytes, std::string_view media_type) {
  return {.media_type = std::string(media_type), .digest = digest_of(bytes), .size = bytes.size()};
}

/// Documents as a hostile source could make them up: each index lists `width` others, `note` is in each.
struct Endless {
  std::size_t width;
  std::string note;
  std::size_t made = 0;
  std::map<Digest, std::string> documents{};

  Descriptor add_index() {
    Index index{.media_type = std::string(media_type::kIndex)};
    for (std::size_t i = 0; i < width; ++i)
      index.manifests.push_back(described(std::to_string(++made), media_type::kIndex));
    index.annotations["note"] = note;
    std::string bytes = write_index(index);
    const Descriptor descriptor = described(bytes, media_type::kIndex);
    documents.emplace(descriptor.digest, std::move(bytes));
    return descriptor;
  }
  /// Whatever is asked for is one more index: digests are looked at elsewhere.
  std::string read(const Descriptor& document) {
    if (const auto found = documents.find(document.digest); found != documents.end()) return found->second;
    const Descriptor index = add_index();
    std::string bytes = documents.at(index.digest);
    documents.clear();
    return bytes;
  }
};

WholeImage find(Endless& endless) {
  const Descriptor root = endless.add_index();
  return find_parts(root, [&](const Descriptor& document) { return endless.read(document); });
}

}  // namespace

TEST_CASE("documents that lead to one another are held up to 8 MiB together", "[layerstore][whole]") {
  Endless endless{.width = 1, .note = std::string(3 * 1024 * 1024, 'n')};
  const Error error = test::error_of([&] { find(endless); });
  CHECK(error.code() == Errc::invalid);
  CHECK(error.message().find("8 MiB") != std::string::npos);
  CHECK(endless.made <= 4);
}

TEST_CASE("an index leads to a bounded number of documents and blobs", "[layerstore][whole]") {
  std::size_t made = 0;
  std::size_t read = 0;
  const auto index_of = [&](std::size_t width, std::string_view media_type) {
    Index index{.media_type = std::string(media_type::kIndex)};
    for (std::size_t i = 0; i < width; ++i)
      index.manifests.push_back(described(std::to_string(++made), media_type));
    return write_index(index);
  };
  const std::string top = index_of(9000, media_type::kIndex);
  const Error error = test::error_of([&] {
    find_parts(described(top, media_type::kIndex), [&](const Descriptor&) {
      return ++read == 1 ? top : index_of(1000, "application/vnd.buildkit.cacheconfig.v0");
    });
  });
  CHECK(error.code() == Errc::invalid);
  CHECK(error.message().find("20000") != std::string::npos);
  CHECK(read < 30);
}

TEST_CASE("parts come behind what they refer to, each once", "[layerstore][whole]") {
  const std::string config = "{}";
  Manifest manifest{.media_type = std::string(media_type::kManifest),
                    .config = described(config, media_type::kConfig)};
  manifest.layers = {described("layer", media_type::kLayer), described("layer", media_type::kLayer)};
  const std::string leaf = write_manifest(manifest);
  Index inner{.media_type = std::string(media_type::kIndex)};
  inner.manifests = {described(leaf, media_type::kManifest)};
  const std::string middle = write_index(inner);
  Index outer = inner;
  outer.manifests.insert(outer.manifests.begin(), described(middle, media_type::kIndex));
  outer.manifests.push_back(described("cache", "application/vnd.buildkit.cacheconfig.v0"));
  const std::string top = write_index(outer);
  std::vector<std::string> asked;
  const WholeImage whole = find_parts(described(top, media_type::kIndex), [&](const Descriptor& document) {
    for (const std::string& bytes : {leaf, middle, top})
      if (digest_of(bytes) == document.digest) asked.push_back(bytes);
    return asked.back();
  });
  CHECK(asked == std::vector<std::string>{top, middle, leaf});
  CHECK(whole.documents.size() == 2);
  CHECK(whole.documents[0].digest == digest_of(leaf));
  CHECK(whole.documents[1].digest == digest_of(middle));
  CHECK(whole.blobs.size() == 3);
}

}  // namespace lay::layerstore
