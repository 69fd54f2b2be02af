#include "tar/tar_reader.h"

#include <sys/sysmacros.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "tar/entry_path.h"
#include "tar/sparse_map.h"
#include "tar/tar_fields.h"

namespace lay::layerstore {

namespace {

constexpr std::size_t kBuffer = 256 * 1024;

constexpr std::int64_t kFirstSecond = -62135596800;  // year 1: Go writes its zero time
constexpr std::int64_t kLastSecond = 253402300799;   // year 9999
constexpr std::int64_t kLastId = 0xfffffffe;         // the next one means "leave it" to chown(2)
constexpr std::int64_t kMaxMajor = 0xfff;            // 12 bits
constexpr std::int64_t kMaxMinor = 0xfffff;          // 20 bits

bool is_zero(const TarBlock& block) {
  const auto bytes = std::as_bytes(std::span(&block, 1));
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

EntryType entry_type(char flag, std::string_view path) {
  switch (flag) {
    case '\0':  // before POSIX, a slash at the end made a folder
      return path.ends_with('/') ? EntryType::directory : EntryType::regular;
    case '0':
    case '7':  // "contiguous": to be taken as regular
    case 'S':  // GNU's older form of sparse files
      if (path.ends_with('/')) throw Error(Errc::invalid, "a file's name ends in a slash");
      return EntryType::regular;
    case '1':
      return EntryType::hardlink;
    case '2':
      return EntryType::symlink;
    case '3':
      return EntryType::character;
    case '4':
      return EntryType::block;
    case '5':
      return EntryType::directory;
    case '6':
      return EntryType::fifo;
    default:
      throw Error::make(Errc::invalid, "entries of type '{}' are not known", printable({&flag, 1}));
  }
}

std::int64_t in_range(std::int64_t value, std::int64_t lowest, std::int64_t highest, std::string_view what) {
  if (value < lowest || value > highest)
    throw Error::make(Errc::invalid, "the {} {} is not between {} and {}", what, value, lowest, highest);
  return value;
}

/// pax wins, as POSIX says; where both could be meant and differ, readers would see different entries.
std::uint64_t entry_size(const TarBlock& block, const PaxAttributes& pax) {
  const std::int64_t ustar = in_range(parse_tar_number(block.size, "size"), 0, INT64_MAX, "size");
  if (!pax.size) return static_cast<std::uint64_t>(ustar);
  constexpr std::uint64_t kUstarLimit = std::uint64_t{1} << 33U;  // eleven octal digits
  if (*pax.size < kUstarLimit && *pax.size != static_cast<std::uint64_t>(ustar))
    throw Error::make(Errc::invalid, "the size is {} in the pax header and {} in the tar header", *pax.size,
                      ustar);
  return *pax.size;
}

dev_t entry_device(const TarBlock& block) {
  const auto major =
      in_range(parse_tar_number(block.device_major, "device number"), 0, kMaxMajor, "device number");
  const auto minor =
      in_range(parse_tar_number(block.device_minor, "device number"), 0, kMaxMinor, "device number");
  return gnu_dev_makedev(static_cast<unsigned>(major), static_cast<unsigned>(minor));
}

uid_t entry_id(std::span<const char> field, std::optional<std::int64_t> pax, std::string_view what) {
  return static_cast<uid_t>(in_range(pax ? *pax : parse_tar_number(field, what), 0, kLastId, what));
}

/// A long name ends at its NUL, which may be missing or padded with more.
std::string gnu_text(const std::string& payload) {
  const std::size_t end = payload.find('\0');
  if (end != std::string::npos && payload.find_first_not_of('\0', end) != std::string::npos)
    throw Error(Errc::invalid, "a GNU long name holds a NUL");
  if (end == 0 || payload.empty()) throw Error(Errc::invalid, "a GNU long name is empty");
  return payload.substr(0, end);
}

TarEntry make_entry(const TarBlock& block, std::string path, std::string link, PaxAttributes pax) {
  const bool is_sparse = pax.sparse.has_value();
  TarEntry entry{.path = std::move(path)};
  entry.type = entry_type(block.type, entry.path);
  entry.mode = static_cast<mode_t>(parse_tar_number(block.mode, "mode") & 07777);
  entry.uid = entry_id(block.uid, pax.uid, "uid");
  entry.gid = entry_id(block.gid, pax.gid, "gid");
  entry.mtime = pax.mtime ? *pax.mtime : timespec{.tv_sec = parse_tar_number(block.mtime, "time")};
  in_range(entry.mtime.tv_sec, kFirstSecond, kLastSecond, "time");
  entry.size = entry_size(block, pax);
  if (entry.size > 0 && entry.type != EntryType::regular)
    throw Error::make(Errc::invalid, "it is no file but has {} bytes of data", entry.size);
  if (is_sparse && entry.type != EntryType::regular)
    throw Error(Errc::invalid, "it is no file but has the map of a sparse one");
  if (entry.type == EntryType::symlink || entry.type == EntryType::hardlink) entry.link = std::move(link);
  if (entry.type == EntryType::character || entry.type == EntryType::block)
    entry.device = entry_device(block);
  entry.xattrs = std::move(pax.xattrs);
  return entry;
}

}  // namespace

TarReader::TarReader(ByteSource& in, ByteSink* framing) : in_(in), framing_(framing), buffer_(kBuffer) {}

/// Makes view_ hold at least `count` bytes, unless the stream ends before.
void TarReader::ensure(std::size_t count) {
  if (view_.empty() && count > 0) {
    view_ = in_.borrow(buffer_);
    bytes_ += view_.size();
  }
  if (view_.size() < count) join(count);
}

/// What is wanted in one piece lies in several: only these few bytes are copied.
void TarReader::join(std::size_t count) {
  std::size_t have = view_.size();
  if (have > 0) std::memmove(buffer_.data(), view_.data(), have);
  while (have > 0 && have < count) {
    const std::size_t got = in_.read(std::span(buffer_).subspan(have, count - have));
    if (got == 0) break;
    have += got;
    bytes_ += got;
  }
  view_ = std::span(buffer_).first(have);
}

void TarReader::pass_framing(std::size_t count) {
  if (framing_ != nullptr) framing_->write(view_.first(count));
  view_ = view_.subspan(count);
}

/// Empty at the end of the stream; throws when that is in the middle of a block.
std::optional<TarBlock> TarReader::read_block() {
  ensure(kTarBlock);
  if (view_.empty()) return std::nullopt;
  if (view_.size() < kTarBlock)
    throw Error(Errc::invalid,
                bytes_ < kTarBlock ? "it is no tar" : "the tar ends in the middle of a header");
  TarBlock block;
  std::memcpy(&block, view_.data(), sizeof block);
  pass_framing(kTarBlock);
  return block;
}

/// As much as is at hand of the data that are left; not yet passed.
std::span<const std::byte> TarReader::next_piece() {
  if (data_left_ == 0) return {};
  ensure(1);
  if (view_.empty())
    throw Error::make(Errc::invalid, "the tar ends {} bytes before the entry does", data_left_);
  return view_.first(static_cast<std::size_t>(std::min<std::uint64_t>(data_left_, view_.size())));
}

std::span<const std::byte> TarReader::read_data() {
  const auto piece = next_piece();
  view_ = view_.subspan(piece.size());
  data_left_ -= piece.size();
  return piece;
}

void TarReader::skip_data() {
  while (!read_data().empty()) {
  }
  skip_padding();
}

void TarReader::skip_padding() {
  ensure(padding_left_);
  if (view_.size() < padding_left_) throw Error(Errc::invalid, "the tar ends in the padding of an entry");
  pass_framing(std::exchange(padding_left_, 0));
}

std::string TarReader::read_payload(const TarBlock& block) {
  const std::int64_t size = parse_tar_number(block.size, "size");
  if (size < 0 || static_cast<std::uint64_t>(size) > kMaxTarExtension)
    throw Error::make(Errc::invalid, "an extended header of {} bytes is longer than {}", size,
                      kMaxTarExtension);
  data_left_ = static_cast<std::uint64_t>(size);
  padding_left_ = tar_padding(data_left_);
  std::string payload;  // grows with what is there, not with what the header promises
  for (auto piece = next_piece(); !piece.empty(); piece = next_piece()) {
    payload.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    data_left_ -= piece.size();
    pass_framing(piece.size());
  }
  skip_padding();
  return payload;
}

/// False when `block` is no extension but the entry itself.
bool TarReader::read_extension(const TarBlock& block, Extensions& extensions) {
  const bool pax = block.type == 'x';
  const bool gnu = block.type == 'L' || block.type == 'K';
  if (block.type == 'g') {
    check_global_pax(read_payload(block));
    return true;
  }
  if (!pax && !gnu) return false;
  if (pax) {
    if (extensions.any()) throw Error(Errc::invalid, "an entry has several extended headers");
    extensions.pax = parse_pax(read_payload(block));
    return true;
  }
  auto& text = block.type == 'L' ? extensions.gnu_path : extensions.gnu_link;
  if (text || extensions.pax) throw Error(Errc::invalid, "an entry has several extended headers");
  text = gnu_text(read_payload(block));
  return true;
}

/// Takes the map from the front of the data: what is left are the bytes of its regions.
void TarReader::read_sparse_map(TarEntry& entry, std::uint64_t size) {
  SparseMapParser parser(size);
  for (std::size_t taken = 0;; taken += kTarBlock) {
    if (data_left_ < kTarBlock || taken == kMaxTarExtension)
      throw Error(Errc::invalid, "the map of a sparse file has no end");
    const auto block = read_block();
    if (!block) throw Error(Errc::invalid, "the tar ends in the map of a sparse file");
    data_left_ -= kTarBlock;
    if (parser.take({reinterpret_cast<const char*>(&*block), kTarBlock})) break;
  }
  set_regions(entry, parser.regions(), size);
}

/// Takes the blocks with more of the map, which do not count as data.
void TarReader::read_old_sparse_map(TarEntry& entry, const TarBlock& header) {
  const auto text_of = [](const TarBlock& block) {
    return std::string_view(reinterpret_cast<const char*>(&block), sizeof block);
  };
  OldSparseMapParser parser(text_of(header));
  for (std::size_t taken = 0; !parser.is_complete(); taken += kTarBlock) {
    if (taken == kMaxTarExtension) throw Error(Errc::invalid, "the map of a sparse file has no end");
    const auto block = read_block();
    if (!block) throw Error(Errc::invalid, "the tar ends in the map of a sparse file");
    parser.take(text_of(*block));
  }
  set_regions(entry, parser.regions(), parser.size());
}

void TarReader::set_regions(TarEntry& entry, std::vector<DataRegion> regions, std::uint64_t size) const {
  if (const std::uint64_t stored = sum_of(regions); stored != data_left_)
    throw Error::make(Errc::invalid, "a sparse file has {} bytes of data, and its map says {}", data_left_,
                      stored);
  entry.regions = std::move(regions);
  entry.size = size;
}

std::optional<TarEntry> TarReader::next() {
  const bool is_first = bytes_ == 0;
  skip_data();
  Extensions extensions;
  for (;;) {
    const auto block = read_block();
    if (!block) throw Error(Errc::invalid, "the tar ends without its end mark");
    if (is_zero(*block)) {
      if (extensions.any()) throw Error(Errc::invalid, "the tar ends after an extended header");
      read_end();
      return std::nullopt;
    }
    if (!has_good_checksum(*block))
      throw Error(Errc::invalid, is_first ? "it is no tar: the first header's checksum is wrong"
                                          : "a tar header's checksum is wrong");
    if (read_extension(*block, extensions)) continue;
    PaxAttributes pax = std::move(extensions.pax).value_or(PaxAttributes{});
    const std::optional<SparsePax> sparse = pax.sparse;
    std::string path = sparse                ? sparse->name
                       : pax.path            ? *pax.path
                       : extensions.gnu_path ? *extensions.gnu_path
                                             : parse_tar_path(*block);
    std::string link = pax.link              ? *pax.link
                       : extensions.gnu_link ? *extensions.gnu_link
                                             : parse_tar_text(block->link, "link");
    try {
      TarEntry entry = make_entry(*block, path, std::move(link), std::move(pax));
      data_left_ = entry.size;
      padding_left_ = tar_padding(entry.size);
      const bool is_old_sparse = block->type == 'S';
      if (sparse && is_old_sparse) throw Error(Errc::invalid, "it is sparse in two ways");
      if (sparse) read_sparse_map(entry, sparse->size);
      if (is_old_sparse) read_old_sparse_map(entry, *block);
      return entry;
    } catch (Error& error) {
      error.add_context(fmt::format("entry '{}'", shown_path(path)));
      throw;
    }
  }
}

void TarReader::read_end() {
  ensure(kTarBlock);
  if (view_.size() >= kTarBlock) {
    const auto block = read_block();
    if (!is_zero(*block)) throw Error(Errc::invalid, "the tar goes on after a zero block");
  }
  do {
    pass_framing(view_.size());
    ensure(1);
  } while (!view_.empty());
}

}  // namespace lay::layerstore
