#include "archive/archive_writer.h"

#include "layers/layer_stream.h"
#include "tar/tar_block.h"
#include "tar/tar_writer.h"

namespace lay::layerstore {

namespace {

constexpr mode_t kFileMode = 0644;
constexpr mode_t kFolderMode = 0755;

}  // namespace

void ArchiveWriter::write(std::string_view bytes) {
  out_.write(std::as_bytes(std::span(bytes)));
}

void ArchiveWriter::add_folder(const std::string& name) {
  write(write_tar_header({.path = name + "/", .type = EntryType::directory, .mode = kFolderMode}));
}

void ArchiveWriter::add_text(const std::string& name, std::string_view text) {
  StringSource source(text);
  add_stream(name, text.size(), source);
}

void ArchiveWriter::add_stream(const std::string& name, std::uint64_t size, ByteSource& data) {
  write(write_tar_header({.path = name, .mode = kFileMode, .size = size}));
  ExactSource exact(data, size);
  pump(exact, out_);
  write(std::string(tar_padding(size), '\0'));
}

void ArchiveWriter::finish() {
  write(tar_end());
}

}  // namespace lay::layerstore
