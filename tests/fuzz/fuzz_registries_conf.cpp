#include <cstdlib>
#include <string>

#include "base/error.h"
#include "fuzz_target.h"
#include "registry/registries_conf.h"

/// What a registries.conf may hold. Whatever it says, the last place that is asked is no mirror.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lay::registry;
  RegistriesConf conf;
  try {
    merge_registries_conf(conf, std::string(reinterpret_cast<const char*>(data), size));
  } catch (const lay::Error&) {
    return 0;
  }
  for (const char* name : {"h.io/team/app:1", "app", "sub.h.io:5000/a/b"}) try {
      for (const Reference& reference : resolve_name(conf, name)) {
        const auto sources = plan_sources(conf, reference);
        if (sources.empty() || sources.back().is_mirror) std::abort();
        plan_target(conf, reference);
      }
    } catch (const lay::Error&) {
    }
  return 0;
}
