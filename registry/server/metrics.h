#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

namespace lay::registry::server {

/// What the server counts, for /metrics. Several threads may count at once.
class Metrics {
 public:
  void connection_opened() { ++connections_; }
  void connection_closed() { --connections_; }
  void request_begun() { ++in_flight_; }
  /// Nothing of it is left, on no thread.
  void request_gone() { --in_flight_; }
  void request_ended(const std::string& method, int status, std::chrono::microseconds duration,
                     std::uint64_t received, std::uint64_t sent);
  void collected(std::uint64_t bytes) {
    ++collections_;
    collected_bytes_ += bytes;
  }
  void collection_missed() { ++missed_collections_; }
  std::uint64_t in_flight() const { return in_flight_; }

  /// Prometheus text format, version 0.0.4.
  std::string text(std::uint64_t open_uploads) const;

 private:
  static constexpr std::size_t kMethods = 7;
  static constexpr std::size_t kClasses = 5;  ///< 1xx to 5xx
  static constexpr std::size_t kBuckets = 8;

  std::atomic<std::uint64_t> connections_ = 0;
  std::atomic<std::uint64_t> in_flight_ = 0;
  std::array<std::array<std::atomic<std::uint64_t>, kClasses>, kMethods> requests_{};
  std::array<std::atomic<std::uint64_t>, kBuckets + 1> durations_{};  ///< the last one is beyond all bounds
  std::atomic<std::uint64_t> duration_sum_ = 0;                       ///< microseconds
  std::atomic<std::uint64_t> received_ = 0;
  std::atomic<std::uint64_t> sent_ = 0;
  std::atomic<std::uint64_t> collections_ = 0;
  std::atomic<std::uint64_t> missed_collections_ = 0;
  std::atomic<std::uint64_t> collected_bytes_ = 0;
};

}  // namespace lay::registry::server
