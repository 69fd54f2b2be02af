#include "http/retry.h"

#include <algorithm>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <random>
#include <string>

#include "base/cancel.h"
#include "base/text.h"

namespace lay::registry {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kLongestStep{30'000};

/// Sleeps, and wakes when the user or somebody else's failure ends it.
void wait(milliseconds duration, const std::stop_token& stop) {
  const auto end = std::chrono::steady_clock::now() + duration;
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  while (std::chrono::steady_clock::now() < end) {
    throw_if_cancelled();
    if (stop.stop_requested()) throw Error(Errc::cancelled, "interrupted");
    const auto step = std::min(end, std::chrono::steady_clock::now() + milliseconds{100});
    changed.wait_until(lock, stop, step, [] { return false; });
  }
}

double chance() {
  thread_local std::minstd_rand generator{std::random_device{}()};
  return std::uniform_real_distribution<double>(0.0, 1.0)(generator);
}

}  // namespace

bool is_worth_retrying(const Answer& answer) {
  using Kind = TransportFailure::Kind;
  if (const auto* failure = std::get_if<TransportFailure>(&answer)) return failure->kind != Kind::certificate;
  const auto& response = std::get<HttpResponse>(answer);
  const int status = response.status;
  // Another request is at the same upload: one of a connection that is dead already, mostly.
  if (status == 409) return !response.headers.get("retry-after").empty();
  return status == 408 || status == 429 || (status >= 500 && status != 501 && status != 505);
}

std::optional<seconds> parse_retry_after(std::string_view value, std::chrono::system_clock::time_point now) {
  if (const auto number = parse_number(value)) {
    constexpr std::uint64_t kForever = 1'000'000'000;
    return seconds{static_cast<std::int64_t>(std::min(*number, kForever))};
  }
  const std::string text(value);
  std::tm parts{};
  const char* end = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  // In seconds: system_clock holds no date before 1677 or after 2262.
  const seconds at{::timegm(&parts)};
  const auto since_epoch = std::chrono::floor<seconds>(now.time_since_epoch());
  return std::max(seconds{0}, at - since_epoch);
}

std::optional<milliseconds> plan_wait(const Patience& patience, unsigned attempt,
                                      std::optional<seconds> asked) {
  if (asked && *asked > kLongestWait) return std::nullopt;
  const unsigned doublings = std::min(attempt - 1, 16U);
  const milliseconds step = std::min(patience.first_delay * (1U << doublings), kLongestStep);
  const auto jittered =
      milliseconds{static_cast<std::int64_t>(static_cast<double>(step.count()) * (0.75 + 0.25 * chance()))};
  return asked ? std::max<milliseconds>(*asked, jittered) : jittered;
}

bool Retries::again(const Answer& answer) {
  if (done_ >= patience_.retries || !is_worth_retrying(answer)) return false;
  std::optional<seconds> asked;
  if (const auto* response = std::get_if<HttpResponse>(&answer))
    asked = parse_retry_after(response->headers.get("retry-after"), std::chrono::system_clock::now());
  const auto duration = plan_wait(patience_, ++done_, asked);
  if (!duration) return false;
  wait(*duration, stop_);
  return true;
}

}  // namespace lay::registry
