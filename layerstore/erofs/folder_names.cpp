#include "erofs/folder_names.h"

#include <algorithm>

namespace lay::layerstore {

namespace {

/// Names of a run at most: long enough that there are few runs, short enough to make room in quickly.
constexpr std::size_t kMaxRun = 512;

}  // namespace

FolderNames::Iterator& FolderNames::Iterator::operator++() {
  if (++place_ == names_->runs_[run_].size()) {
    ++run_;
    place_ = 0;
  }
  return *this;
}

/// The run that has `name`, or that it would go into; the number of runs where there is none.
std::size_t FolderNames::run_of(std::string_view name) const {
  const auto after =
      std::upper_bound(runs_.begin(), runs_.end(), name,
                       [](std::string_view wanted, const Run& run) { return wanted < run.front().name(); });
  const auto index = static_cast<std::size_t>(after - runs_.begin());
  return index == 0 ? 0 : index - 1;
}

FolderNames::Run::const_iterator FolderNames::place_in(const Run& run, std::string_view name) {
  return std::lower_bound(run.begin(), run.end(), name, [](const FolderName& entry, std::string_view wanted) {
    return entry.name() < wanted;
  });
}

std::optional<InodeIndex> FolderNames::find(std::string_view name) const {
  if (runs_.empty() || runs_.back().back().name() < name) return std::nullopt;
  const Run& run = runs_[run_of(name)];
  const auto place = place_in(run, name);
  return place != run.end() && place->name() == name ? std::optional(place->inode()) : std::nullopt;
}

void FolderNames::insert(FolderName name) {
  ++size_;
  const bool is_last = runs_.empty() || runs_.back().back().name() < name.name();
  if (is_last && (runs_.empty() || runs_.back().size() == kMaxRun)) {
    Run& run = runs_.emplace_back();
    if (runs_.size() > 1) run.reserve(kMaxRun);
    run.push_back(name);
    return;
  }
  const std::size_t index = is_last ? runs_.size() - 1 : run_of(name.name());
  Run& run = runs_[index];
  run.insert(is_last ? run.end() : place_in(run, name.name()), name);
  if (run.size() > kMaxRun) split(index);
}

void FolderNames::split(std::size_t run) {
  const auto middle = runs_[run].begin() + kMaxRun / 2;
  Run upper(middle, runs_[run].end(), runs_.get_allocator());
  runs_[run].erase(middle, runs_[run].end());
  runs_.insert(runs_.begin() + static_cast<std::ptrdiff_t>(run) + 1, std::move(upper));
}

std::optional<InodeIndex> FolderNames::remove(std::string_view name) {
  if (runs_.empty()) return std::nullopt;
  const std::size_t index = run_of(name);
  Run& run = runs_[index];
  const auto place = place_in(run, name);
  if (place == run.end() || place->name() != name) return std::nullopt;
  const InodeIndex inode = place->inode();
  run.erase(place);
  if (run.empty()) runs_.erase(runs_.begin() + static_cast<std::ptrdiff_t>(index));
  --size_;
  return inode;
}

void FolderNames::clear() {
  runs_.clear();
  size_ = 0;
}

}  // namespace lay::layerstore
