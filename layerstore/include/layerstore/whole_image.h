#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/progress.h"
#include "base/stream.h"
#include "layerstore/store.h"

/// All that a name leads to, of every platform: an index with its indexes, manifests and blobs, or one
/// manifest with its blobs. It lies in the store without a name, which holds single images alone.
namespace lay::layerstore {

/// What documents in documents may hold in memory at once, and how many parts they may have: each is read
/// while those that led to it are held. An archive of as many can be read again (ArchiveMembers).
constexpr std::size_t kMaxHeldDocuments = 8 * 1024 * 1024;
constexpr std::size_t kMaxParts = 20'000;

/// Counts both for one copy. Of one thread.
class DocumentBudget {
 public:
  class Held {
   public:
    Held(DocumentBudget& budget, std::size_t bytes) : budget_(budget), bytes_(bytes) {}
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held() { budget_.held_ -= bytes_; }

   private:
    DocumentBudget& budget_;
    std::size_t bytes_;
  };
  /// Throws invalid when all that are held would be more than kMaxHeldDocuments.
  Held hold(std::size_t bytes);
  /// Throws invalid beyond kMaxParts.
  void count_part();

 private:
  std::size_t held_ = 0;
  std::size_t parts_ = 0;
};

/// Whether an entry of an index is no document, but a blob: builders keep their caches so.
bool is_blob(const Descriptor& entry);

struct WholeImage {
  Descriptor root;
  std::vector<Descriptor> documents;  ///< but the root, each behind those that it lists
  std::vector<Descriptor> blobs;
};

/// Finds all parts. `read` is asked for each document once, the root first. Throws invalid beyond the budget,
/// and for documents that are none.
WholeImage find_parts(const Descriptor& root,
                      const std::function<std::string(const Descriptor& document)>& read);

/// Stores the bytes of a document; throws corrupt when they are not those of `document`.
void put_verified(const Store& store, const Descriptor& document, std::string_view bytes);

/// As read_layout() and write_layout() (layout.h), of all that the name leads to. Layers that are kept
/// outside of registries may be missing.
WholeImage read_whole_layout(const Store& store, const std::string& folder, const std::string& name,
                             Progress& progress);
void write_whole_layout(const Store& store, const WholeImage& whole, const std::string& folder,
                        const std::string& name);

/// As load_archive() and save_archive() (archive.h), of one name of an OCI archive; empty where there is only
/// one.
WholeImage load_whole_archive(const Store& store, ByteSource& archive, const std::string& name,
                              Progress& progress);
void save_whole_archive(const Store& store, const WholeImage& whole, const std::string& name, ByteSink& out,
                        Progress& progress);

}  // namespace lay::layerstore
