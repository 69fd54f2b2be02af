#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "layerstore/ingest.h"
#include "layerstore/partial.h"

namespace lay::layerstore {

/// Keeps what is fetched of a blob on disk as it comes, so that who begins again, in a later process too,
/// does not fetch it twice. Nothing of what was kept is trusted: who puts it together checks the whole.
class KeptParts final : public PartSource {
 public:
  /// Less is fetched again as fast.
  static constexpr std::uint64_t kWorthKeeping = 64 * 1024;

  /// `kept`: the folder for it, see Ingest::resume(); without one nothing is kept. `source` must outlive it.
  KeptParts(PartSource& source, std::optional<Ingest> kept);

  void fetch(const BlobPart& part, ByteSink& out) override;
  void expect(std::vector<BlobPart> parts) override;
  /// What was fetched by this counts as kept from now on, for who begins anew. Returns the bytes that are
  /// kept.
  std::uint64_t take_up();
  /// Bytes that came from the source.
  std::uint64_t fetched() const { return fetched_; }
  /// What was fetched stays for a later one, if it is worth it; otherwise it goes with this.
  void keep();

 private:
  struct Place {
    std::uint64_t size = 0;
    std::uint64_t at = 0;  ///< in the file
  };
  /// Of a part, what lies in one place of the file, or has to be fetched.
  struct Piece {
    BlobPart part;
    std::optional<std::uint64_t> at{};
  };

  void read_list();
  void note(std::uint64_t offset, const Place& place);
  std::vector<Piece> cut(const BlobPart& part) const;
  void fetch_missing(const BlobPart& part, ByteSink& out);
  void copy_kept(const Piece& piece, ByteSink& out) const;

  PartSource& source_;
  std::optional<Ingest> kept_;
  UniqueFd data_;
  UniqueFd list_;
  std::map<std::uint64_t, Place> places_;  ///< by their offsets in the blob
  std::uint64_t size_ = 0;                 ///< of the file
  std::uint64_t fetched_ = 0;
};

}  // namespace lay::layerstore
