#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>
#include <string_view>

#include "http/http.h"
#include "registry/transfer.h"

namespace lay::registry {

/// Whether the same request may have a better answer later: no answer (but for a certificate that is not
/// trusted), 408, 429, 409 that says when to come back, and 5xx but for those that say "never" (501, 505).
bool is_worth_retrying(const Answer& answer);

/// The seconds that a Retry-After header asks for (RFC 9110 section 10.2.3: a number, or a date seen from
/// `now`); empty when there is none or it is neither.
std::optional<std::chrono::seconds> parse_retry_after(std::string_view value,
                                                      std::chrono::system_clock::time_point now);

/// How long to wait before try number `attempt` (from 1): doubled each time, at most 30 s, a quarter of it by
/// chance so that many clients do not come back together; `asked` when the server asked for more.
///   returns  empty when the server asks for more than kLongestWait
std::optional<std::chrono::milliseconds> plan_wait(const Patience& patience, unsigned attempt,
                                                   std::optional<std::chrono::seconds> asked);
constexpr std::chrono::seconds kLongestWait{120};

/// The tries of one request.
class Retries {
 public:
  Retries(const Patience& patience, std::stop_token stop) : patience_(patience), stop_(std::move(stop)) {}

  /// Whether to try again after `answer`; waits first. False: it is final. Throws cancelled.
  bool again(const Answer& answer);
  /// The last try got further than those before: it counts as the first.
  void progress() { done_ = 0; }

 private:
  const Patience patience_;
  const std::stop_token stop_;
  unsigned done_ = 0;
};

}  // namespace lay::registry
