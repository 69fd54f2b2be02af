#include "runner/stats.h"

#include <catch2/catch.hpp>

using namespace lay::runner;
using namespace std::chrono_literals;

TEST_CASE("traffic is that of all links but loopback", "[runner][stats]") {
  const LinkBytes bytes = parse_net_dev(
      "Inter-|   Receive                                                |  Transmit\n"
      " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs\n"
      "    lo:     100       1    0    0    0     0          0         0      200       1    0    0\n"
      "  eth0:    1000       7    0    0    0     0          0         0       20       2    0    0\n"
      "eth1:5 1 0 0 0 0 0 0 6 1 0 0 0 0 0 0\n");
  CHECK(bytes.received == 1005);
  CHECK(bytes.sent == 26);
  CHECK(parse_net_dev("eth0: 1 2\nnonsense").received == 0);
}

TEST_CASE("processor time is a share of one processor, and 0 after a new start", "[runner][stats]") {
  Stats before{.processor = 1s};
  Stats after{.processor = 2s};
  after.taken = before.taken + 500ms;
  CHECK(processor_percent(before, after) == Approx(200));
  CHECK(processor_percent(after, before) == 0);
  CHECK(processor_percent(Stats{}, after) == 0);
}
