#include "overlay/stack_plan.h"

#include "base/text.h"
#include "store/list_file.h"

namespace lay::layerstore {

namespace {

constexpr const char* kParents = "parents";
constexpr const char* kNoParents = "no parents";
constexpr std::size_t kItemsOfLink = 3;

}  // namespace

std::optional<StackPlan> read_plan(const UniqueFd& dir, const std::string& name) {
  const std::vector<std::string> items = read_list(dir, name);
  if (items.size() % kItemsOfLink != 1) return std::nullopt;
  StackPlan plan{.has_parents = items.front() == kParents};
  for (std::size_t i = 1; i < items.size(); i += kItemsOfLink) {
    const auto place = parse_number(items[i]);
    if (!place) return std::nullopt;
    plan.links[*place].push_back({items[i + 1], items[i + 2]});
  }
  return plan;
}

void write_plan(const UniqueFd& dir, const std::string& name, const StackPlan& plan) {
  std::vector<std::string> items{plan.has_parents ? kParents : kNoParents};
  for (const auto& [place, links] : plan.links) {
    for (const LowerLink& link : links) {
      items.push_back(std::to_string(place));
      items.push_back(link.path);
      items.push_back(link.target);
    }
  }
  write_list(dir, name, items);
}

}  // namespace lay::layerstore
