#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "fuzz_target.h"

namespace {

std::vector<std::filesystem::path> files_below(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

/// Every prefix of a seed is an input as well: truncation is the commonest damage.
/// Long seeds are cut in steps.
void replay(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(stream), {}};
  const std::size_t step = std::max<std::size_t>(1, bytes.size() / 256);
  for (std::size_t length = 0; length < bytes.size(); length += step)
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), length);
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

/// Replays every file below the folders given; a crash, a sanitizer's report or a foreign exception ends it.
int main(int argc, char** argv) {
  std::size_t count = 0;
  for (int i = 1; i < argc; ++i)
    for (const auto& file : files_below(argv[i])) {
      replay(file);
      ++count;
    }
  std::printf("replayed %zu seeds\n", count);
  return count > 0 ? 0 : 1;
}
