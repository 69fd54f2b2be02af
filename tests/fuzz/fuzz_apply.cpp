#include <fcntl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/remove_tree.h"
#include "base/stream.h"
#include "base/syscalls.h"
#include "fuzz_target.h"
#include "layerstore/apply.h"
#include "tar_reader.h"

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

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Scratch scratch;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    read_only(text);
  } catch (const lay::Error&) {
  }
  try {
    lay::StringSource source(text);
    lay::layerstore::apply_layer(source, scratch.fresh_target());
  } catch (const lay::Error&) {
  }
  if (!scratch.canary_is_untouched()) std::abort();
  return 0;
}
