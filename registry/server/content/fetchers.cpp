#include "server/content/fetchers.h"

#include <utility>

namespace lay::registry::server {

void Fetchers::add(std::size_t hops, const std::string& name, std::function<void()> job) {
  for (std::size_t deeper = kMaxHops - 1; deeper > hops; --deeper) {
    // Only to wait: the thread there is not for this job.
    if (pools_.at(deeper).join(name, [this, hops, name, job] { pools_.at(hops).add(name, job); })) return;
  }
  pools_.at(hops).add(name, std::move(job));
}

}  // namespace lay::registry::server
