#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "client/client.h"
#include "layerstore/partial.h"

namespace lay::registry {

/// Fetches parts of one blob ahead of who asks for them: after a small change a layer lacks hundreds of small
/// parts, and a round trip for each takes longer than the whole layer. Many go by one request where the
/// registry answers that, and otherwise each by its own, several at a time. Large parts are not kept in
/// memory but fetched when they are asked for.
class BlobPieces final : public layerstore::PartSource {
 public:
  /// `client` and `blob` must outlive it; `stop` ends it with Errc::cancelled.
  BlobPieces(const RegistryClient& client, const layerstore::Descriptor& blob, const std::stop_token& stop);
  ~BlobPieces() override;

  void fetch(const layerstore::BlobPart& part, ByteSink& out) override;
  void expect(std::vector<layerstore::BlobPart> parts) override;
  /// Whether the registry has said that it has no such blob.
  bool is_gone() const { return is_gone_; }

 private:
  struct Piece {
    layerstore::BlobPart part;
    std::optional<std::string> bytes{};
  };
  /// Whether several parts can be had by one request.
  enum class Several { unknown, asking, served, refused };

  void end_work();
  void work(const std::stop_token& stop);
  /// The pieces to get next, [first, second); none when no more are wanted.
  std::pair<std::size_t, std::size_t> take_run();
  std::size_t end_of_run() const;
  std::optional<std::vector<std::string>> ask_for(const std::vector<layerstore::BlobPart>& parts,
                                                  const std::stop_token& stop);
  void get_several(std::size_t first, std::size_t last, const std::stop_token& stop);
  void get_piece(const layerstore::BlobPart& part, ByteSink& out, const std::stop_token& stop);
  void get_one(std::size_t index, const std::stop_token& stop);
  void store(std::size_t first, std::vector<std::string> bytes);

  const RegistryClient& client_;
  const layerstore::Descriptor& blob_;
  const std::stop_token stop_;
  std::atomic<bool> is_gone_ = false;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<Piece> pieces_;
  std::size_t asked_ = 0;   ///< the piece that is asked for next
  std::size_t next_ = 0;    ///< the first that nobody has begun to get
  std::uint64_t held_ = 0;  ///< bytes in memory, or on their way there
  Several several_ = Several::unknown;
  bool is_over_ = false;
  std::exception_ptr failure_;
  std::vector<std::jthread> workers_;  // last: they use the rest
};

}  // namespace lay::registry
