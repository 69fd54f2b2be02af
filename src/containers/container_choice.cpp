#include "containers/container_choice.h"

#include <fcntl.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "each.h"
#include "lists/container_filter.h"

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

}  // namespace

Chosen latest_container(const runner::ContainerStore& containers) {
  const std::vector<runner::Container> all = containers.list();
  const auto newest = std::ranges::max_element(
      all, {}, [](const runner::Container& container) { return container.config().created; });
  if (newest == all.end())
    throw Error(Errc::not_found, "--latest: there is no container").with_hint("'lay ps -a' lists them");
  return {newest->config().name, newest->config().id};
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

void ContainerChoice::take_all(const std::string& flag) {
  if (!names_.empty() || !id_files_.empty() || !filters_.empty() || latest_)
    throw UsageError{flag + " goes without names, --latest, --cidfile and --filter"};
  all_ = true;
}

std::vector<Chosen> ContainerChoice::find(const runner::ContainerStore& containers,
                                          const Wanted& is_wanted) const {
  const bool by_name = !names_.empty() || !id_files_.empty();
  const bool by_kind = all_ || !filters_.empty();
  if (by_name + by_kind + latest_ == 0) throw UsageError{"which container? --all takes all"};
  if (by_name + by_kind + latest_ > 1)
    throw UsageError{by_kind && by_name && filters_.empty()
                         ? "--all goes without names"
                         : "names, --latest and --all or --filter go alone"};
  if (latest_) return {latest_container(containers)};
  std::vector<Chosen> chosen;
  for (const std::string& name : names_) chosen.push_back({name, name});
  for (const std::string& file : id_files_)
    if (const std::string id = read_id_file(file, ignores_missing_); !id.empty()) chosen.push_back({id, id});
  if (!by_kind) return chosen;
  const ContainerFilter filter(containers, filters_);
  for (const runner::Container& container : containers.list()) {
    if (!is_wanted(container)) continue;
    const runner::ContainerState state = container.state();
    if (filter.is_empty() || filter.fits(container, state, shown_status(container, state)))
      chosen.push_back({container.config().name, container.config().id});
  }
  return chosen;
}

int ContainerChoice::for_each(const std::string& verb, const runner::ContainerStore& containers,
                              const Wanted& is_wanted, const Work& work) const {
  return for_each_of(verb, find(containers, is_wanted), &Chosen::name, [&](const Chosen& chosen) {
    std::optional<runner::Container> container;
    try {
      container.emplace(containers.find(chosen.key));
      work(*container, chosen.name);
    } catch (const Error& error) {
      const bool is_gone = error.code() == Errc::not_found && (!container || !container->is_there());
      if (!ignores_missing_ || !is_gone) throw;
    }
  });
}

}  // namespace lay::cli
