#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/remove_tree.h"
#include "base/stream.h"
#include "base/syscalls.h"
#include "erofs/tree_builder.h"
#include "fuzz_target.h"
#include "layer_description.h"
#include "tar/tar_reader.h"

namespace {

/// A folder in memory that the layers are unpacked into, and beside it a file that none of them may reach.
class Scratch {
 public:
  Scratch()
      : memory_(lay::sys::open_dir(lay::sys::cwd(), "/dev/shm")),
        name_("lay-fuzz-" + lay::sys::random_hex(8)) {
    lay::sys::mkdir_at(memory_, name_, 0700);
    dir_ = lay::sys::open_dir(memory_, name_);
    lay::sys::write_all(lay::sys::open_at(dir_, "canary", O_WRONLY | O_CREAT, 0600),
                        std::string_view("canary"));
    canary_ = lay::sys::stat_at(dir_, "canary");
  }
  ~Scratch() {
    try {
      lay::remove_tree(memory_, name_);
    } catch (const lay::Error&) {  // left for a person to look at
    }
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  lay::UniqueFd fresh_target() const {
    lay::remove_tree(dir_, "layer");
    lay::sys::mkdir_at(dir_, "layer", 0700);
    return lay::sys::open_dir(dir_, "layer");
  }
  bool canary_is_untouched() const {
    const struct ::stat now = lay::sys::stat_at(dir_, "canary");
    return now.st_ctim.tv_sec == canary_.st_ctim.tv_sec && now.st_ctim.tv_nsec == canary_.st_ctim.tv_nsec &&
           now.st_nlink == 1;
  }

 private:
  lay::UniqueFd memory_;
  std::string name_;
  lay::UniqueFd dir_;
  struct ::stat canary_ {};
};

/// Reading without unpacking, so that the parser is reached by anybody.
void read_only(std::string_view text) {
  lay::StringSource source(text);
  lay::layerstore::TarReader reader(source);
  while (reader.next())
    while (!reader.read_data().empty()) {
    }
}

using Links = std::vector<lay::layerstore::LowerLink>;

/// A layer in one of its forms, or why it is refused.
struct Form {
  lay::test::TreeDescription tree;
  lay::layerstore::StackedFolders folders;
  std::optional<lay::Errc> refusal;

  bool operator==(const Form&) const = default;
};

Form unpack(std::string_view text, const lay::UniqueFd& target, const Links& links) {
  lay::StringSource source(text);
  try {
    lay::layerstore::ApplyStats stats = lay::layerstore::apply_layer(source, target, {.links = links});
    return {.tree = lay::test::TreeDescriber(lay::test::Contents::no).describe(target),
            .folders = std::move(stats.folders)};
  } catch (const lay::Error& error) {
    return {.refusal = error.code()};
  }
}

Form index(std::string_view text, const Links& links) {
  lay::StringSource source(text);
  try {
    const lay::layerstore::IndexedLayer layer = lay::layerstore::index_layer(source, {.links = links});
    return {.tree = lay::test::describe_layer_tree(layer.tree), .folders = layer.stats.folders};
  } catch (const lay::Error& error) {
    return {.refusal = error.code()};
  }
}

/// What the machine and not the layer is the reason of: its disk, its user, links to one file.
bool is_of_machine(std::optional<lay::Errc> refusal) {
  return refusal == lay::Errc::io || refusal == lay::Errc::no_space || refusal == lay::Errc::denied;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Scratch scratch;
  static const std::array<Links, 2> kBelow{Links{},
                                           Links{{"d", "usr/d"}, {"lib", "../usr/lib"}, {"usr/d", "/lib"}}};
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    read_only(text);
  } catch (const lay::Error&) {
  }
  for (const Links& links : kBelow) {
    const Form unpacked = unpack(text, scratch.fresh_target(), links);
    if (!scratch.canary_is_untouched()) std::abort();
    if (!is_of_machine(unpacked.refusal) && unpacked != index(text, links)) std::abort();
  }
  return 0;
}
