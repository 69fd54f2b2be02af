#include "diff/sorted_names.h"

#include <algorithm>
#include <span>
#include <tuple>
#include <utility>

namespace lay::layerstore {

namespace {

constexpr std::size_t kMaxUnsorted = std::size_t{1024} * 1024;

/// How a name lies in memory: rank, type, length, and its bytes.
constexpr std::size_t kHead = 3;

unsigned char byte_at(std::string_view text, std::size_t place) {
  return static_cast<unsigned char>(text[place]);
}

std::size_t packed_size(std::string_view packed) {
  return kHead + byte_at(packed, 2);
}

std::string_view name_in(std::string_view packed) {
  return packed.substr(kHead, byte_at(packed, 2));
}

}  // namespace

void SortedNames::add(std::string_view name, unsigned char type, Rank rank) {
  if (unsorted_.size() + kHead + name.size() > kMaxUnsorted) end_run();
  starts_.push_back(static_cast<std::uint32_t>(unsorted_.size()));
  unsorted_ += static_cast<char>(rank);
  unsorted_ += static_cast<char>(type);
  unsorted_ += static_cast<char>(name.size());
  unsorted_ += name;
}

void SortedNames::end_run() {
  if (starts_.empty()) return;
  const std::string_view unsorted = unsorted_;
  std::sort(starts_.begin(), starts_.end(), [&](std::uint32_t a, std::uint32_t b) {
    const std::string_view left = unsorted.substr(a);
    const std::string_view right = unsorted.substr(b);
    return left[0] != right[0] ? left[0] < right[0] : name_in(left) < name_in(right);
  });
  const std::span<char> sorted(static_cast<char*>(memory_->allocate(unsorted.size(), 1)), unsorted.size());
  auto end = sorted.begin();
  for (const std::uint32_t start : starts_) {
    const std::string_view packed = unsorted.substr(start);
    end = std::copy_n(packed.begin(), packed_size(packed), end);
  }
  memory_->count_use();
  runs_.push_back({.rest = {sorted.data(), sorted.size()}, .head = {}});
  unsorted_.clear();
  starts_.clear();
}

bool SortedNames::advance(Run& run) {
  if (run.rest.empty()) return false;
  run.head.name = name_in(run.rest);
  run.head.type = byte_at(run.rest, 1);
  run.head.rank = static_cast<Rank>(byte_at(run.rest, 0));
  run.rest.remove_prefix(packed_size(run.rest));
  return true;
}

bool SortedNames::comes_later(const Run& a, const Run& b) {
  return std::tie(a.head.rank, a.head.name) > std::tie(b.head.rank, b.head.name);
}

std::optional<SortedNames::Name> SortedNames::next() {
  if (!is_read_) {
    is_read_ = true;
    end_run();
    unsorted_ = {};
    starts_ = {};
    for (Run& run : runs_) advance(run);
    std::make_heap(runs_.begin(), runs_.end(), comes_later);
  }
  if (runs_.empty()) return std::nullopt;
  memory_->count_use();
  std::pop_heap(runs_.begin(), runs_.end(), comes_later);
  Name result = std::move(runs_.back().head);
  if (advance(runs_.back())) {
    std::push_heap(runs_.begin(), runs_.end(), comes_later);
  } else {
    runs_.pop_back();
  }
  return result;
}

}  // namespace lay::layerstore
