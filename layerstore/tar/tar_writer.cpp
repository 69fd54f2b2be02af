#include "tar/tar_writer.h"

#include <sys/sysmacros.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "base/error.h"
#include "base/text.h"
#include "tar/sparse_map.h"
#include "tar/tar_block.h"

namespace lay::layerstore {

namespace {

constexpr std::string_view kMagic("ustar\00000", 8);
constexpr std::string_view kPaxName = "././@PaxHeader";  // what readers without pax would unpack it as

char type_flag(EntryType type) {
  switch (type) {
    case EntryType::regular:
      return '0';
    case EntryType::hardlink:
      return '1';
    case EntryType::symlink:
      return '2';
    case EntryType::character:
      return '3';
    case EntryType::block:
      return '4';
    case EntryType::directory:
      return '5';
    case EntryType::fifo:
      return '6';
  }
  return '0';
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

template <std::size_t Size>
void put(std::array<char, Size>& field, std::string_view text) {
  std::copy_n(text.begin(), std::min(Size, text.size()), field.begin());
}

/// Octal digits and a NUL; a number that does not fit stands in the extended header, and here stays 0.
template <std::size_t Size>
void put_octal(std::array<char, Size>& field, std::uint64_t value) {
  const std::string digits = fmt::format("{:0{}o}", value, Size - 1);
  put(field, digits.size() < Size ? digits : std::string(Size - 1, '0'));
}

template <std::size_t Size>
bool fits_octal(const std::array<char, Size>&, std::int64_t value) {
  return value >= 0 && static_cast<std::uint64_t>(value) < std::uint64_t{1} << (3 * (Size - 1));
}

/// Where `path` is cut into ustar's prefix and name (0: not at all); empty when it does not fit.
std::optional<std::size_t> split_point(std::string_view path) {
  constexpr std::size_t kName = sizeof(TarBlock::name);
  constexpr std::size_t kPrefix = sizeof(TarBlock::prefix);
  if (path.size() <= kName) return 0;
  if (path.size() > kPrefix + 1 + kName) return std::nullopt;
  const std::size_t slash = path.find('/', path.size() - kName - 1);
  if (slash == std::string_view::npos || slash == 0 || slash > kPrefix || slash + 1 == path.size())
    return std::nullopt;
  return slash;
}

void put_path(TarBlock& block, std::string_view path) {
  const std::size_t cut = split_point(path).value_or(0);
  if (cut > 0) {
    put(block.prefix, path.substr(0, cut));
    put(block.name, path.substr(cut + 1));
    return;
  }
  put(block.name, path);
  // A name cut off after a slash would look like a folder to readers that do not know pax.
  if (path.size() > block.name.size() && block.name.back() == '/') block.name.back() = '_';
}

void seal(TarBlock& block) {
  block.checksum.fill(' ');
  std::uint32_t sum = 0;
  for (const std::byte b : std::as_bytes(std::span(&block, 1))) sum += std::to_integer<std::uint32_t>(b);
  put(block.checksum, fmt::format("{:06o}", sum));
  block.checksum[6] = '\0';
}

std::string text_of(const TarBlock& block) {
  return std::string(reinterpret_cast<const char*>(&block), sizeof block);
}

/// The name under which a reader that knows no sparse files would unpack the bytes that are stored: GNU
/// tar's, as far as it needs no header of its own, since readers differ in whether "path" or
/// "GNU.sparse.name" wins.
std::string stored_name(const TarEntry& entry) {
  constexpr std::string_view kFolder = "GNUSparseFile.0/";
  const std::size_t base = entry.path.rfind('/') + 1;
  std::string name = entry.path.substr(0, base).append(kFolder).append(entry.path, base);
  return split_point(name) && is_ascii(name) ? name : std::string(kFolder) + "file";
}

std::string sparse_records(const TarEntry& entry) {
  return write_pax_record("GNU.sparse.major", "1") + write_pax_record("GNU.sparse.minor", "0") +
         write_pax_record("GNU.sparse.name", entry.path) +
         write_pax_record("GNU.sparse.realsize", std::to_string(entry.size));
}

std::string pax_records(const TarEntry& entry, const TarBlock& block, std::uint64_t stored) {
  std::string records;
  const bool long_path = !entry.regions && (!split_point(entry.path) || !is_ascii(entry.path));
  const bool long_link = entry.link.size() > block.link.size() || !is_ascii(entry.link);
  if (!is_utf8(entry.path) || !is_utf8(entry.link)) records += write_pax_record("hdrcharset", "BINARY");
  if (long_path) records += write_pax_record("path", entry.path);
  if (entry.regions) records += sparse_records(entry);
  if (long_link) records += write_pax_record("linkpath", entry.link);
  if (!fits_octal(block.size, static_cast<std::int64_t>(stored)))
    records += write_pax_record("size", std::to_string(stored));
  if (!fits_octal(block.uid, entry.uid)) records += write_pax_record("uid", std::to_string(entry.uid));
  if (!fits_octal(block.gid, entry.gid)) records += write_pax_record("gid", std::to_string(entry.gid));
  if (!fits_octal(block.mtime, entry.mtime.tv_sec))
    records += write_pax_record("mtime", std::to_string(entry.mtime.tv_sec));
  for (const Xattr& xattr : entry.xattrs) {
    if (xattr.name.find('=') != std::string::npos)
      throw Error::make(Errc::unsupported,
                        "extended attribute '{}' cannot be stored in a tar: its name holds '='",
                        printable(xattr.name));
    records += write_pax_record(std::string(kPaxXattrPrefix) + xattr.name, xattr.value);
  }
  if (records.size() > kMaxTarExtension)
    throw Error::make(Errc::unsupported, "extended attributes take {} bytes, and readers of tar accept {}",
                      records.size(), kMaxTarExtension);
  return records;
}

}  // namespace

std::string write_pax_record(std::string_view key, std::string_view value) {
  const std::size_t body = key.size() + value.size() + 3;
  std::size_t length = body;
  while (body + std::to_string(length).size() != length) length = body + std::to_string(length).size();
  return fmt::format("{} {}={}\n", length, key, value);
}

std::string write_pax_header(std::string records) {
  TarBlock block{};
  put(block.name, kPaxName);
  put_octal(block.mode, 0644);
  put_octal(block.uid, 0);
  put_octal(block.gid, 0);
  put_octal(block.size, records.size());
  put_octal(block.mtime, 0);
  block.type = 'x';
  put(block.magic, kMagic);
  seal(block);
  records.append(tar_padding(records.size()), '\0');
  return text_of(block) + records;
}

std::string write_tar_header(const TarEntry& entry) {
  const std::string map = entry.regions ? write_sparse_map(*entry.regions, entry.size) : std::string();
  const std::uint64_t stored = entry.regions ? map.size() + sum_of(*entry.regions) : entry.size;
  TarBlock block{};
  put_path(block, entry.regions ? stored_name(entry) : entry.path);
  put_octal(block.mode, entry.mode & 07777U);
  put_octal(block.uid, entry.uid);
  put_octal(block.gid, entry.gid);
  put_octal(block.size, stored);
  put_octal(block.mtime,
            fits_octal(block.mtime, entry.mtime.tv_sec) ? static_cast<std::uint64_t>(entry.mtime.tv_sec) : 0);
  block.type = type_flag(entry.type);
  put(block.link, entry.link);
  put(block.magic, kMagic);
  put_octal(block.device_major, gnu_dev_major(entry.device));
  put_octal(block.device_minor, gnu_dev_minor(entry.device));
  seal(block);
  std::string records = pax_records(entry, block, stored);
  const std::string extended = records.empty() ? std::string() : write_pax_header(std::move(records));
  return extended + text_of(block) + map;
}

std::string_view tar_end() {
  static constexpr std::array<char, 2 * kTarBlock> kZeros{};
  return {kZeros.data(), kZeros.size()};
}

}  // namespace lay::layerstore
