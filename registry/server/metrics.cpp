#include "server/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace lay::registry::server {

namespace {

constexpr std::array<std::string_view, 7> kMethodNames{"GET",   "HEAD",   "POST", "PUT",
                                                       "PATCH", "DELETE", "other"};
/// Upper bounds in seconds.
constexpr std::array<double, 8> kBounds{0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60};

std::size_t method_index(const std::string& method) {
  const auto found = std::find(kMethodNames.begin(), kMethodNames.end() - 1, method);
  return static_cast<std::size_t>(found - kMethodNames.begin());
}

std::string plain(std::string_view name, std::string_view type, std::string_view help, std::uint64_t value) {
  return fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n{0} {3}\n", name, type, help, value);
}

}  // namespace

void Metrics::request_ended(const std::string& method, int status, std::chrono::microseconds duration,
                            std::uint64_t received, std::uint64_t sent) {
  const int kind = std::clamp(status / 100, 1, static_cast<int>(kClasses)) - 1;
  ++requests_[method_index(method)][static_cast<std::size_t>(kind)];
  const double seconds = std::chrono::duration<double>(duration).count();
  const auto bound = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
  ++durations_[static_cast<std::size_t>(bound - kBounds.begin())];
  duration_sum_ += static_cast<std::uint64_t>(duration.count());
  received_ += received;
  sent_ += sent;
}

std::string Metrics::text(std::uint64_t open_uploads) const {
  std::string out =
      "# HELP lay_requests_total Requests by method and class of status.\n"
      "# TYPE lay_requests_total counter\n";
  for (std::size_t method = 0; method < kMethods; ++method)
    for (std::size_t kind = 0; kind < kClasses; ++kind)
      if (const std::uint64_t count = requests_[method][kind]; count > 0)
        out += fmt::format("lay_requests_total{{method=\"{}\",status=\"{}xx\"}} {}\n", kMethodNames[method],
                           kind + 1, count);
  out +=
      "# HELP lay_request_seconds How long requests took, their bodies included.\n"
      "# TYPE lay_request_seconds histogram\n";
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    count += durations_[i];
    out += fmt::format("lay_request_seconds_bucket{{le=\"{}\"}} {}\n", kBounds[i], count);
  }
  count += durations_[kBuckets];
  out += fmt::format(
      "lay_request_seconds_bucket{{le=\"+Inf\"}} {}\nlay_request_seconds_sum {:.6f}\n"
      "lay_request_seconds_count {}\n",
      count, static_cast<double>(duration_sum_) / 1e6, count);
  out += plain("lay_received_bytes_total", "counter", "Bytes of request bodies.", received_);
  out += plain("lay_sent_bytes_total", "counter", "Bytes of response bodies.", sent_);
  out += plain("lay_connections", "gauge", "Open connections.", connections_);
  out += plain("lay_requests_in_flight", "gauge", "Requests under way.", in_flight_);
  out += plain("lay_uploads", "gauge", "Upload sessions that have not ended.", open_uploads);
  out += plain("lay_collections_total", "counter", "Runs of the garbage collection.", collections_);
  out += plain("lay_collections_missed_total", "counter",
               "Tries at one that gave way: somebody was adding to the store, or a container is damaged.",
               missed_collections_);
  out += plain("lay_collected_bytes_total", "counter", "Bytes of blobs that it removed.", collected_bytes_);
  return out;
}

}  // namespace lay::registry::server
