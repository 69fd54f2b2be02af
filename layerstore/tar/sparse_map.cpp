#include "tar/sparse_map.h"

#include <fmt/format.h>

#include <numeric>

#include "base/error.h"
#include "base/text.h"
#include "tar/tar_block.h"
#include "tar/tar_fields.h"

namespace lay::layerstore {

namespace {

constexpr std::size_t kMaxDigits = 19;                       // of INT64_MAX
constexpr std::uint64_t kMaxRegions = kMaxTarExtension / 4;  // "0\n0\n"

[[noreturn]] void throw_malformed() {
  throw Error(Errc::invalid, "the map of a sparse file is malformed");
}

/// Where the fields are in GNU's header and in the blocks behind it (GNU tar manual, "Basic Tar Format").
constexpr std::size_t kMagic = 257;
constexpr std::string_view kGnuMagic("ustar  \0", 8);
constexpr std::size_t kNumber = 12;
constexpr std::size_t kOldHeaderMap = 386;
constexpr std::size_t kOldHeaderFlag = 482;
constexpr std::size_t kOldSize = 483;
constexpr std::size_t kOldBlockFlag = 504;

std::uint64_t number_at(std::string_view block, std::size_t at) {
  const std::int64_t number = parse_tar_number(block.substr(at, kNumber), "sparse map");
  if (number < 0) throw_malformed();
  return static_cast<std::uint64_t>(number);
}

bool flag_at(std::string_view block, std::size_t at) {
  if (block[at] != '\0' && block[at] != '\1') throw_malformed();
  return block[at] == '\1';
}

}  // namespace

std::string write_sparse_map(std::span<const DataRegion> regions, std::uint64_t size) {
  const std::uint64_t end = regions.empty() ? 0 : regions.back().offset + regions.back().size;
  const bool ends_in_hole = end < size;
  std::string map = fmt::format("{}\n", regions.size() + (ends_in_hole ? 1 : 0));
  for (const DataRegion& region : regions) map += fmt::format("{}\n{}\n", region.offset, region.size);
  if (ends_in_hole) map += fmt::format("{}\n0\n", size);
  map.append(tar_padding(map.size()), '\0');
  return map;
}

std::uint64_t sum_of(std::span<const DataRegion> regions) {
  return std::accumulate(regions.begin(), regions.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const DataRegion& region) { return sum + region.size; });
}

void RegionList::add(std::uint64_t offset, std::uint64_t size) {
  if (offset < end_ || offset > size_ || size > size_ - offset)
    throw Error::make(Errc::invalid, "a region of a sparse file, {} bytes at {}, is not where it can be",
                      size, offset);
  if (size > 0) {
    if (!regions_.empty() && offset == end_) {
      regions_.back().size += size;
    } else {
      regions_.push_back({offset, size});
    }
  }
  end_ = offset + size;
}

OldSparseMapParser::OldSparseMapParser(std::string_view header)
    : size_(number_at(header, kOldSize)), regions_(size_), is_extended_(flag_at(header, kOldHeaderFlag)) {
  if (header.substr(kMagic, kGnuMagic.size()) != kGnuMagic)
    throw Error(Errc::invalid, "a sparse file's header is not GNU's");
  take_regions(header.substr(kOldHeaderMap, kOldHeaderFlag - kOldHeaderMap));
}

void OldSparseMapParser::take(std::string_view block) {
  is_extended_ = flag_at(block, kOldBlockFlag);
  take_regions(block.substr(0, kOldBlockFlag));
}

void OldSparseMapParser::take_regions(std::string_view text) {
  for (; text.size() >= 2 * kNumber; text.remove_prefix(2 * kNumber)) {
    const bool is_empty = text.substr(0, 2 * kNumber).find_first_not_of('\0') == std::string_view::npos;
    if (!is_empty && has_ended_) throw_malformed();
    has_ended_ = is_empty;
    if (!is_empty) regions_.add(number_at(text, 0), number_at(text, kNumber));
  }
}

bool SparseMapParser::take(std::string_view block) {
  for (const char c : block) {
    if (numbers_left_ == 0) {
      if (c != '\0') throw_malformed();
    } else if (c >= '0' && c <= '9') {
      if (digits_.size() == kMaxDigits) throw_malformed();
      digits_ += c;
    } else {
      const auto number = parse_number(digits_);
      if (c != '\n' || !number || *number > std::uint64_t{INT64_MAX}) throw_malformed();
      digits_.clear();
      take_number(*number);
    }
  }
  return numbers_left_ == 0;
}

void SparseMapParser::take_number(std::uint64_t number) {
  --numbers_left_;
  if (!has_count_) {
    if (number > kMaxRegions)
      throw Error::make(Errc::invalid, "the map of a sparse file has {} regions, more than {}", number,
                        kMaxRegions);
    has_count_ = true;
    numbers_left_ = 2 * number;
    return;
  }
  has_offset_ = !has_offset_;
  if (has_offset_) {
    offset_ = number;
    return;
  }
  regions_.add(offset_, number);
}

}  // namespace lay::layerstore
