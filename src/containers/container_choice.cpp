#include "containers/container_choice.h"

#include <fcntl.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "lists/container_filter.h"
#include "runner/lifecycle.h"

namespace lay::cli {

namespace {

constexpr std::size_t kMaxIdFile = 4096;

/// The first line; empty when there is no such file and that does not matter.
std::string read_id_file(const std::string& path, bool may_be_missing) {
  const std::optional<UniqueFd> file = sys::try_open_at(sys::cwd(), path, O_RDONLY);
  if (!file && may_be_missing) return {};
  if (!file)
    throw Error::make(Errc::not_found, "--cidfile '{}': there is no such file", printable(path))
        .with_hint("lay run --cidfile FILE makes one");
  const std::string text = sys::read_all(*file, kMaxIdFile);
  const std::string id = text.substr(0, text.find('\n'));
  if (id.empty())
    throw Error::make(Errc::invalid, "--cidfile '{}' holds no id", printable(path))
        .with_hint("lay run --cidfile FILE makes one");
  return id;
}

std::string_view status_of(const runner::Container& container, const runner::ContainerState& state) {
  const bool is_running = state.status == runner::Status::running;
  return is_running && runner::is_paused(container) ? "paused" : runner::to_string(state.status);
}

}  // namespace

std::vector<std::string> latest_container(const runner::ContainerStore& containers) {
  const std::vector<runner::Container> all = containers.list();
  const auto newest = std::ranges::max_element(
      all, {}, [](const runner::Container& container) { return container.config().created; });
  if (newest == all.end())
    throw Error(Errc::not_found, "--latest: there is no container").with_hint("'lay ps -a' lists them");
  return {newest->config().name};
}

void ContainerChoice::add_to(Parser& parser, const std::string& about_all, const Names& names) {
  parser.add_option("container", names_, "names or ids");
  parser.add_flag(names.all, all_, about_all);
  parser.add_flag("-l,--latest", latest_, "the one made last");
  parser.add_list("--cidfile", id_files_, "the one whose id is in this file", "FILE");
  parser.add_list(names.filter, filters_, "those of --all that fit, as with ps", "KEY=VALUE");
}

void ContainerChoice::add_ignore_to(Parser& parser) {
  parser.add_flag("-i,--ignore", ignores_missing_, "not there is no error");
}

std::vector<std::string> ContainerChoice::find(const runner::ContainerStore& containers,
                                               const Wanted& is_wanted) const {
  const bool by_name = !names_.empty() || !id_files_.empty();
  const bool by_kind = all_ || !filters_.empty();
  if (by_name + by_kind + latest_ == 0) throw UsageError{"which container? --all takes all"};
  if (by_name + by_kind + latest_ > 1)
    throw UsageError{by_kind && by_name && filters_.empty()
                         ? "--all goes without names"
                         : "names, --latest and --all or --filter go alone"};
  if (latest_) return latest_container(containers);
  std::vector<std::string> names = names_;
  for (const std::string& file : id_files_)
    if (std::string id = read_id_file(file, ignores_missing_); !id.empty()) names.push_back(std::move(id));
  if (!by_kind) return names;
  const ContainerFilter filter(containers, filters_);
  for (const runner::Container& container : containers.list()) {
    if (!is_wanted(container)) continue;
    const runner::ContainerState state = container.state();
    if (filter.is_empty() || filter.fits(container, state, status_of(container, state)))
      names.push_back(container.config().name);
  }
  return names;
}

}  // namespace lay::cli
