#include "layerstore/whole_image.h"

#include <set>
#include <span>
#include <utility>

#include "base/error.h"
#include "layerstore/media_types.h"

namespace lay::layerstore {

namespace {

struct Search {
  const std::function<std::string(const Descriptor& document)>& read;
  WholeImage whole;
  DocumentBudget budget;
  std::set<Digest> seen{};

  bool is_new(const Descriptor& part) {
    if (!seen.insert(part.digest).second) return false;
    budget.count_part();
    return true;
  }

  void visit(const Descriptor& document, int depth) {
    const std::string bytes = read(document);
    const DocumentBudget::Held held = budget.hold(bytes.size());
    if (classify_document(bytes, document.media_type) == DocumentKind::index)
      return visit_index(bytes, depth + 1);
    const Manifest manifest = parse_manifest(bytes);
    if (is_new(manifest.config)) whole.blobs.push_back(manifest.config);
    for (const Descriptor& layer : manifest.layers)
      if (is_new(layer)) whole.blobs.push_back(layer);
  }

  void visit_index(const std::string& bytes, int depth) {
    if (depth >= kMaxIndexDepth)
      throw Error::make(Errc::invalid, "indexes stand in one another more than {} deep", kMaxIndexDepth);
    for (const Descriptor& entry : parse_index(bytes).manifests) {
      if (!is_new(entry)) continue;
      if (is_blob(entry)) {
        whole.blobs.push_back(entry);
        continue;
      }
      visit(entry, depth);
      whole.documents.push_back(entry);
    }
  }
};

}  // namespace

DocumentBudget::Held DocumentBudget::hold(std::size_t bytes) {
  if (held_ + bytes > kMaxHeldDocuments)
    throw Error::make(Errc::invalid, "documents that lead to one another have more than {} MiB",
                      kMaxHeldDocuments / 1024 / 1024);
  held_ += bytes;
  return Held(*this, bytes);
}

void DocumentBudget::count_part() {
  if (++parts_ > kMaxParts)
    throw Error::make(Errc::invalid, "the index leads to more than {} documents and blobs", kMaxParts);
}

bool is_blob(const Descriptor& entry) {
  return !media_type::is_manifest(entry.media_type) && !media_type::is_index(entry.media_type);
}

WholeImage find_parts(const Descriptor& root,
                      const std::function<std::string(const Descriptor& document)>& read) {
  Search search{.read = read, .whole = WholeImage{.root = root}, .budget = {}};
  search.is_new(root);
  search.visit(root, 0);
  return std::move(search.whole);
}

void put_verified(const Store& store, const Descriptor& document, std::string_view bytes) {
  BlobWriter writer = store.blobs().begin(document.digest.algorithm());
  writer.write(std::as_bytes(std::span(bytes)));
  writer.commit(document);
}

}  // namespace lay::layerstore
