#include "spec/throttle_paths.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include "temp_folder.h"

using lay::runner::throttle_paths;

TEST_CASE("K07: what tells how hot a processor is, is masked for each of them", "[runner][spec]") {
  const lay::test::TempFolder temp;
  for (const char* folder : {"cpu0", "cpu1", "cpu10", "cpufreq", "cpuidle"})
    std::filesystem::create_directories(temp.path() + "/" + folder + "/thermal_throttle");
  const auto of = [&](const std::string& name) { return temp.path() + "/" + name + "/thermal_throttle"; };
  CHECK(throttle_paths(temp.path()) == std::vector<std::string>{of("cpu0"), of("cpu1"), of("cpu10")});
  std::filesystem::remove(of("cpu0"));
  CHECK(throttle_paths(temp.path()).empty());
}
