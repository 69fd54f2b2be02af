#include "lists/prune_filter.h"

#include "lists/moment.h"

namespace lay::cli {

PruneFilter::PruneFilter(const std::vector<std::string>& texts)
    : filters_(texts, {"until", "label", "label!"}) {
  if (filters_.has("until")) until_ = parse_moment("--filter until", filters_.last("until"));
}

bool PruneFilter::fits(const std::optional<Time>& created,
                       const std::map<std::string, std::string>& labels) const {
  return filters_.fit_labels(labels) && (!until_ || (created && *created < *until_));
}

}  // namespace lay::cli
