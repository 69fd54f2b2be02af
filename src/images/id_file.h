#pragma once

#include <string>

namespace lay::cli {

/// Writes an id or digest to the file that the user names (--iidfile, --digestfile), as OutputFile does.
void write_id_file(const std::string& path, const std::string& id);

/// A file for an id that is yet to be made (--cidfile): reserved before there is anything to lose, so that
/// one that cannot be written, or belongs to somebody else, is told of in time.
class IdFile {
 public:
  /// Makes the file; an empty path stands for none. Throws exists with a hint, or what open(2) says.
  explicit IdFile(std::string path);
  IdFile(const IdFile&) = delete;
  IdFile& operator=(const IdFile&) = delete;
  /// Without write() the file goes again.
  ~IdFile();

  void write(const std::string& id);

 private:
  std::string path_;
  bool is_written_ = false;
};

}  // namespace lay::cli
