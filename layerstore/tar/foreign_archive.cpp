#include "tar/foreign_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "base/text.h"
#include "overlay/overlay_notation.h"
#include "tar/acl_text.h"
#include "tar/entry_check.h"
#include "tar/tar_block.h"
#include "tar/tar_entry.h"
#include "tar/tar_writer.h"

namespace lay::layerstore {

namespace {

constexpr std::size_t kBlock = 256 * 1024;

struct ArchiveCloser {
  void operator()(archive* handle) const { ::archive_read_free(handle); }
};
using ArchiveHandle = std::unique_ptr<archive, ArchiveCloser>;

/// What libarchive's callbacks need; an exception may not pass through its C code and waits here.
struct Input {
  ByteSource& source;
  std::vector<std::byte> block = std::vector<std::byte>(kBlock);
  std::exception_ptr failure;
};

la_ssize_t read_block(archive* handle, void* data, const void** block) {
  Input& input = *static_cast<Input*>(data);
  try {
    *block = input.block.data();
    return static_cast<la_ssize_t>(input.source.read(input.block));
  } catch (...) {
    input.failure = std::current_exception();
    ::archive_set_error(handle, EIO, "read failed");
    return ARCHIVE_FATAL;
  }
}

/// Passes on success. A warning tells of lost information and is an error, except where a name is not of the
/// process's locale, of which there is none: libarchive then keeps its bytes, and that is what is wanted.
int checked(archive* handle, const Input& input, int result) {
  if (result == ARCHIVE_OK || result == ARCHIVE_EOF) return result;
  if (input.failure) std::rethrow_exception(input.failure);
  const char* text = ::archive_error_string(handle);
  const std::string reason = text == nullptr ? "unknown" : text;
  if (result == ARCHIVE_WARN && reason.find("can't be converted") != std::string::npos) return ARCHIVE_OK;
  throw Error::make(Errc::corrupt, "the archive cannot be read: {}", printable(reason));
}

ArchiveHandle open_archive(Input& input) {
  ArchiveHandle handle(::archive_read_new());
  if (!handle) throw Error(Errc::io, "libarchive cannot be set up");
  ::archive_read_support_filter_xz(handle.get());
  ::archive_read_support_filter_bzip2(handle.get());
  ::archive_read_support_format_tar(handle.get());
  checked(handle.get(), input, ::archive_read_open(handle.get(), &input, nullptr, read_block, nullptr));
  return handle;
}

EntryType type_of(archive_entry* entry, const std::string& path) {
  if (::archive_entry_hardlink(entry) != nullptr) return EntryType::hardlink;
  switch (::archive_entry_filetype(entry)) {
    case AE_IFREG:
      return EntryType::regular;
    case AE_IFDIR:
      return EntryType::directory;
    case AE_IFLNK:
      return EntryType::symlink;
    case AE_IFCHR:
      return EntryType::character;
    case AE_IFBLK:
      return EntryType::block;
    case AE_IFIFO:
      return EntryType::fifo;
    default:
      throw Error::make(Errc::invalid, "'{}' is of a type that a layer cannot hold", printable(path));
  }
}

/// libarchive takes access lists given as text apart. One that is among the attributes as well stays.
void add_acl(archive_entry* entry, int type, std::string_view name, std::vector<Xattr>& xattrs) {
  const bool is_there =
      std::any_of(xattrs.begin(), xattrs.end(), [&](const Xattr& x) { return x.name == name; });
  if (is_there || (::archive_entry_acl_types(entry) & type) == 0) return;
  const int style = ARCHIVE_ENTRY_ACL_STYLE_EXTRA_ID | ARCHIVE_ENTRY_ACL_STYLE_SEPARATOR_COMMA;
  const std::unique_ptr<char, decltype(&std::free)> text(
      ::archive_entry_acl_to_text(entry, nullptr, type | style), &std::free);
  if (!text) throw Error::make(Errc::corrupt, "the list '{}' cannot be read", name);
  if (std::string value = parse_acl_text(text.get()); !value.empty())
    xattrs.push_back({std::string(name), std::move(value)});
}

std::vector<Xattr> xattrs_of(archive_entry* entry) {
  std::vector<Xattr> xattrs;
  ::archive_entry_xattr_reset(entry);
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  while (::archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK)
    if (!is_user_mark(name))
      xattrs.push_back({stored_xattr_name(name), std::string(static_cast<const char*>(value), size)});
  add_acl(entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, kAccessAcl, xattrs);
  add_acl(entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, kDefaultAcl, xattrs);
  std::sort(xattrs.begin(), xattrs.end(), [](const Xattr& a, const Xattr& b) { return a.name < b.name; });
  return xattrs;
}

std::string text_or_empty(const char* text) {
  return text == nullptr ? "" : text;
}

TarEntry entry_of(archive_entry* entry) {
  TarEntry result{.path = text_or_empty(::archive_entry_pathname(entry))};
  if (result.path.empty()) throw Error(Errc::invalid, "an entry has no name");
  result.type = type_of(entry, result.path);
  result.mode = ::archive_entry_perm(entry);
  result.uid = static_cast<uid_t>(::archive_entry_uid(entry));
  result.gid = static_cast<gid_t>(::archive_entry_gid(entry));
  result.mtime = {.tv_sec = ::archive_entry_mtime(entry)};
  if (result.type == EntryType::regular)
    result.size = static_cast<std::uint64_t>(::archive_entry_size(entry));
  if (result.type == EntryType::symlink) result.link = text_or_empty(::archive_entry_symlink(entry));
  if (result.type == EntryType::hardlink) result.link = text_or_empty(::archive_entry_hardlink(entry));
  if (result.type == EntryType::character || result.type == EntryType::block)
    result.device = ::archive_entry_rdev(entry);
  result.xattrs = xattrs_of(entry);
  return result;
}

/// Writes to `out` and counts.
class Writer {
 public:
  explicit Writer(ByteSink& out) : out_(out) {}

  void text(std::string_view bytes) {
    out_.write(std::as_bytes(std::span(bytes)));
    written_ += bytes.size();
  }
  void zeros(std::uint64_t count) {
    static constexpr std::array<char, 65536> kZeros{};
    for (; count > 0; count -= std::min<std::uint64_t>(count, kZeros.size()))
      text({kZeros.data(), static_cast<std::size_t>(std::min<std::uint64_t>(count, kZeros.size()))});
  }
  std::uint64_t written() const { return written_; }

 private:
  ByteSink& out_;
  std::uint64_t written_ = 0;
};

/// libarchive gives the pieces that hold data; what lies between them are holes.
void copy_data(archive* handle, const Input& input, std::uint64_t size, Writer& out) {
  std::uint64_t position = 0;
  const void* block = nullptr;
  std::size_t count = 0;
  la_int64_t offset = 0;
  while (checked(handle, input, ::archive_read_data_block(handle, &block, &count, &offset)) == ARCHIVE_OK) {
    throw_if_cancelled();
    const auto begin = static_cast<std::uint64_t>(offset);
    if (begin < position || begin + count > size) throw Error(Errc::corrupt, "the archive's data overlaps");
    out.zeros(begin - position);
    out.text({static_cast<const char*>(block), count});
    position = begin + count;
  }
  out.zeros(size - position + tar_padding(size));
}

}  // namespace

bool is_foreign_archive(std::span<const std::byte> start) {
  const std::string_view text(reinterpret_cast<const char*>(start.data()), start.size());
  using namespace std::string_view_literals;
  for (const std::string_view magic : {"\xfd"
                                       "7zXZ\0"sv,
                                       "BZh"sv})
    if (text.starts_with(magic)) return true;
  return false;
}

std::uint64_t rewrite_foreign_archive(ByteSource& in, ByteSink& out) {
  Input input{.source = in};
  const ArchiveHandle handle = open_archive(input);
  Writer writer(out);
  archive_entry* header = nullptr;
  while (checked(handle.get(), input, ::archive_read_next_header(handle.get(), &header)) == ARCHIVE_OK) {
    const TarEntry entry = entry_of(header);
    writer.text(write_tar_header(entry));
    if (entry.type == EntryType::regular) copy_data(handle.get(), input, entry.size, writer);
  }
  writer.text(tar_end());
  return writer.written();
}

}  // namespace lay::layerstore
