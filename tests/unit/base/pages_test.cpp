#include <fnmatch.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

/// The compiler ran in the build's folder, and so does this test.
fs::path top_folder() {
  return fs::path(__FILE__).parent_path() / "../../..";
}

/// "/base/text.cpp" and so on.
std::vector<std::string> files_of_the_tree() {
  std::vector<std::string> files;
  for (const char* room :
       {"base", "bench", "cmake", "docs", "examples", "layerstore", "registry", "runner", "src", "tests"})
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(top_folder() / room))
      files.push_back("/" + fs::relative(entry.path(), top_folder()).string());
  return files;
}

/// Patterns are named from the top; of other names the folders before them may be left out.
std::string pattern_of(const std::string& name) {
  return (name.find('*') != std::string::npos ? "/" : "*/") + name;
}

/// Names of files and patterns of them, "tar/tar_reader.h" or "layerstore/tar_*", that stand as code in a
/// page.
std::set<std::string> files_named_in(const fs::path& page) {
  std::ifstream file(page);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  static const std::regex code("`([a-zA-Z0-9_./*-]+)`");
  static const std::regex name(R"(.*\.(h|cpp|py|sh|bats|bash|md)|[a-z]+/.*\*.*)");
  std::set<std::string> names;
  for (std::sregex_iterator found(text.begin(), text.end(), code), end; found != end; ++found)
    if (std::regex_match((*found)[1].str(), name)) names.insert((*found)[1]);
  return names;
}

}  // namespace

TEST_CASE("each file that a page of docs/ names is there", "[base][pages]") {
  const std::vector<std::string> files = files_of_the_tree();
  for (const fs::directory_entry& page : fs::directory_iterator(top_folder() / "docs")) {
    if (page.path().extension() != ".md") continue;
    const std::set<std::string> names = files_named_in(page.path());
    REQUIRE(!names.empty());
    for (const std::string& name : names) {
      const std::string pattern = pattern_of(name);
      INFO(page.path().filename().string() << " names " << name);
      CHECK(std::ranges::any_of(
          files, [&](const std::string& file) { return fnmatch(pattern.c_str(), file.c_str(), 0) == 0; }));
    }
  }
}
