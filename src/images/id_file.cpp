#include "images/id_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <span>
#include <utility>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "output/output_file.h"

namespace lay::cli {

void write_id_file(const std::string& path, const std::string& id) {
  OutputFile file(path);
  file.sink().write(std::as_bytes(std::span(id)));
  file.commit();
}

IdFile::IdFile(std::string path) : path_(std::move(path)) {
  if (path_.empty()) return;
  try {
    sys::open_at(sys::cwd(), path_, O_WRONLY | O_CREAT | O_EXCL, 0644);
  } catch (Error& error) {
    if (error.code() == Errc::exists)
      throw Error::make(Errc::exists, "--cidfile '{}' is there already", printable(path_))
          .with_hint("it may be of a container that still runs: remove it, or name another file");
    error.add_context("--cidfile").with_hint("name a file in a folder that is there and can be written");
    throw;
  }
}

IdFile::~IdFile() {
  if (!path_.empty() && !is_written_) ::unlink(path_.c_str());
}

void IdFile::write(const std::string& id) {
  if (path_.empty()) return;
  write_id_file(path_, id);
  is_written_ = true;
}

}  // namespace lay::cli
