#include "base/syscalls.h"
#include "network/address6.h"
#include "runner/network_subnets.h"

namespace lay::runner {

std::string random_subnet6() {
  constexpr std::size_t kBytes = 5;  // the global id has 40 bits
  return to_string(local_subnet6(sys::random_hex(kBytes)));
}

}  // namespace lay::runner
