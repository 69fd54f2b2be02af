#include "sparse_map.h"

#include <fmt/format.h>

#include <numeric>

#include "base/error.h"
#include "base/text.h"
#include "tar_block.h"

namespace lay::layerstore {

namespace {

constexpr std::size_t kMaxDigits = 19;                       // of INT64_MAX
constexpr std::uint64_t kMaxRegions = kMaxTarExtension / 4;  // "0\n0\n"

[[noreturn]] void throw_malformed() {
  throw Error(Errc::invalid, "the map of a sparse file is malformed");
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
  if (offset_ < end_ || offset_ > size_ || number > size_ - offset_)
    throw Error::make(Errc::invalid, "a region of a sparse file, {} bytes at {}, is not where it can be",
                      number, offset_);
  if (number > 0) {
    if (!regions_.empty() && offset_ == end_) {
      regions_.back().size += number;
    } else {
      regions_.push_back({offset_, number});
    }
  }
  end_ = offset_ + number;
}

}  // namespace lay::layerstore
