#include "layerstore/partial.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "chunked/chunked_tail.h"
#include "chunked/partial_blob.h"
#include "chunked/partial_tar.h"
#include "layerstore/store_spill.h"

namespace lay::layerstore {

namespace {

constexpr std::uint64_t kWorthIt = 1024 * 1024;  // a smaller blob comes as fast as its table would

/// What has to be saved before a layer does without its blob, which others may want from here.
bool is_much_more(std::uint64_t blob, std::uint64_t tar) {
  return blob > tar + std::max(kWorthIt, tar / 4);
}

bool has_images(const Store& store) {
  return !store.images().roots().empty();
}

/// Of the table's data, sorted.
std::vector<DigestKey> keys_of(const DataTable& table) {
  std::vector<DigestKey> keys;
  keys.reserve(table.size());
  for (std::size_t i = 0; i < table.size(); ++i) keys.push_back(table.at(i).key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

}  // namespace

struct PartialLayer::Plan {
  Plan(const Store& store, std::shared_ptr<const ChunkedTail> end, const DataTable& table)
      : tail(std::move(end)), frames(store, keys_of(table), spill_in(store)) {}

  const std::shared_ptr<const ChunkedTail> tail;
  const LocalFrames frames;  // the rest uses it
  std::optional<PartialBlob> blob;
  std::optional<PartialTar> tar;
};

PartialLayer::PartialLayer(std::unique_ptr<Plan> plan) : plan_(std::move(plan)) {}
PartialLayer::PartialLayer(PartialLayer&&) noexcept = default;
PartialLayer::~PartialLayer() = default;

bool PartialLayer::may_have_table(const Descriptor& blob) {
  return blob.size >= kWorthIt && find_chunked_places(blob).has_value();
}

std::optional<PartialLayer> PartialLayer::plan(const Store& store, const Descriptor& blob, PartSource& source,
                                               const PartialWish& wish) {
  const auto places = find_chunked_places(blob);
  if (!places || blob.size < kWorthIt || !has_images(store)) return std::nullopt;
  const auto tail = std::make_shared<const ChunkedTail>(blob, *places, source, spill_in(store));
  auto table = std::make_unique<const DataTable>(*tail, spill_in(store));
  auto plan = std::make_unique<Plan>(store, tail, *table);
  if (!plan->frames.is_empty()) plan->blob.emplace(tail, *table, plan->frames, source, spill_in(store));
  table.reset();

  const std::uint64_t as_blob = plan->blob ? plan->blob->fetched() : blob.size;
  const bool may_be_tar = wish.may_lack_blob && store.layers().form_of_new().form == LayerForm::erofs;
  if (may_be_tar && is_much_more(as_blob, tail->size())) {
    auto tar = PartialTar::plan(store, blob, tail, plan->frames, wish.like);
    if (tar && is_much_more(as_blob, tar->fetched())) plan->tar.emplace(std::move(*tar));
  }
  if (!plan->tar && as_blob > blob.size / 4 * 3) return std::nullopt;
  return PartialLayer(std::move(plan));
}

bool PartialLayer::is_tar() const {
  return plan_->tar.has_value();
}

std::uint64_t PartialLayer::fetched() const {
  return plan_->tar ? plan_->tar->fetched() : plan_->blob->fetched();
}

std::uint64_t PartialLayer::table_size() const {
  return plan_->tail->size();
}

void PartialLayer::write_blob(std::uint64_t offset, ByteSink& out) const {
  plan_->blob.value().write(offset, out);
}

void PartialLayer::write_tar(PartSource& parts, ByteSink& out) const {
  plan_->tar.value().write(parts, out);
}

}  // namespace lay::layerstore
