#include "layerstore/fsck.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "output/messages.h"
#include "output/progress_display.h"
#include "registry/absent.h"
#include "registry/server.h"
#include "registry/transfer.h"

namespace lay::cli {

namespace {

std::string_view word_for(layerstore::DamagedPart part) {
  switch (part) {
    case layerstore::DamagedPart::blob:
      return "blob";
    case layerstore::DamagedPart::layer:
      return "layer";
    case layerstore::DamagedPart::image:
      return "image";
  }
  return "part";
}

void print_report(const layerstore::FsckReport& report) {
  for (const layerstore::Damage& damage : report.damages) {
    const std::string users = damage.images.empty() ? "no image" : join(damage.images, ", ");
    fmt::print("damaged {} {}: {}", word_for(damage.part), printable(damage.name), printable(damage.problem));
    if (damage.part == layerstore::DamagedPart::image)
      fmt::print("\n");
    else
      fmt::print(" (needed by {})\n", printable(users));
  }
  if (report.absent > 0)
    fmt::print("{} blobs are where they were pulled from: their layers are here, made of other blobs\n",
               report.absent);
  fmt::print("{} blobs, {} layers, {} names: {} read, {} damaged\n", report.blobs, report.layers,
             report.images, format_size(report.bytes), report.damages.size());
}

/// Exit code 0 when the records of `lay serve` are good. Only a client that has it can push again what is
/// lost.
int check_records_of_registry(const layerstore::Store& store) {
  const std::vector<std::string> problems = registry::check_records(store);
  for (const std::string& problem : problems) fmt::print("damaged record: {}\n", printable(problem));
  if (problems.empty()) return 0;
  print_error(fmt::format("fsck: {} records of the registry damaged", problems.size()),
              "push again what they name, or delete it from the repository");
  return 1;
}

/// What came from a registry is stored under its whole name; others were made here.
std::optional<registry::Reference> origin_of(const std::string& name) {
  try {
    registry::Reference reference = registry::parse_reference(name);
    if (registry::to_string(reference) == name) return reference;
  } catch (const Error&) {
    // No registry could hold that name
  }
  return std::nullopt;
}

bool needs(const layerstore::Damage& damage, const std::string& name) {
  return std::ranges::find(damage.images, name) != damage.images.end();
}

/// Whether another layer may take the place of what is there.
using MayReplace = std::function<bool(const layerstore::Digest& diff_id)>;

/// A pull takes what looks whole for good, and replaces what is missing.
void fetch_image(const layerstore::Store& store, const layerstore::FsckReport& report,
                 const std::string& name, const registry::PullRequest& request, const MayReplace& may_replace,
                 Progress& progress) {
  for (const layerstore::Damage& damage : report.damages) {
    if (damage.part != layerstore::DamagedPart::layer || !needs(damage, name)) continue;
    const auto diff_id = layerstore::Digest::parse(damage.name);
    if (may_replace(diff_id)) store.layers().distrust(diff_id);
  }
  registry::pull(store, request, name, progress);
}

/// What concerns one registry or image, and not this machine or the user's wish to stop.
bool is_of_image(const Error& error) {
  return error.code() != Errc::cancelled && error.code() != Errc::no_space && error.code() != Errc::io;
}

bool is_damaged(const layerstore::FsckReport& report, const layerstore::Digest& diff_id) {
  return std::ranges::any_of(report.damages, [&](const layerstore::Damage& damage) {
    return damage.part == layerstore::DamagedPart::layer && damage.name == diff_id.to_string();
  });
}

/// Of layers that are damaged, the blobs that are where a pull has left them.
std::vector<layerstore::AbsentBlob> left_blobs(const layerstore::Store& store,
                                               const layerstore::FsckReport& report) {
  std::vector<layerstore::AbsentBlob> left = store.absent().list();
  std::erase_if(left, [&](const layerstore::AbsentBlob& absent) {
    return !is_damaged(report, absent.diff_id) || store.blobs().has(absent.blob.digest);
  });
  return left;
}

void fetch_left_blobs(const layerstore::Store& store, const layerstore::FsckReport& report,
                      const registry::Connection& connection, const MayReplace& may_replace,
                      Progress& progress) {
  const registry::AbsentRequest request{.connection = [&](const std::string&) { return connection; },
                                        .tell = print_note};
  for (const layerstore::AbsentBlob& absent : left_blobs(store, report)) {
    if (!may_replace(absent.diff_id)) continue;
    store.layers().distrust(absent.diff_id);
    try {
      registry::fetch_absent(store, absent, request, progress);
    } catch (const Error& error) {
      if (!is_of_image(error)) throw;
      print_error("fsck: " + error.message(), error.hint());
    }
  }
}

/// The damaged images that came from a registry, by name: what to ask for.
std::map<std::string, registry::Reference> damaged_images(const layerstore::Store& store,
                                                          const layerstore::FsckReport& report) {
  std::map<std::string, registry::Reference> images;
  for (const layerstore::Damage& damage : report.damages)
    for (const std::string& name : damage.images) {
      auto reference = origin_of(name);
      const auto manifest = store.images().find(name);
      if (!reference || !manifest) continue;
      reference->digest = manifest->digest;  // the same image, wherever the tag leads by now
      images.insert_or_assign(name, *std::move(reference));
    }
  return images;
}

/// Every registry that may be asked for what is damaged.
std::set<std::string> registries_to_ask(const layerstore::Store& store,
                                        const layerstore::FsckReport& report) {
  std::set<std::string> domains;
  for (const layerstore::AbsentBlob& absent : left_blobs(store, report))
    for (const std::string& origin : absent.origins) domains.insert(origin.substr(0, origin.find('/')));
  for (const auto& [name, reference] : damaged_images(store, report)) domains.insert(reference.domain);
  return domains;
}

/// Fetches every damaged image again from where it came.
void fetch_again(const layerstore::Store& store, const layerstore::FsckReport& report,
                 const registry::Connection& connection, const MayReplace& may_replace, Progress& progress) {
  for (const auto& [name, reference] : damaged_images(store, report)) {
    try {
      print_note("pulling " + registry::to_string(reference));
      fetch_image(store, report, name, {.reference = reference, .connection = connection}, may_replace,
                  progress);
    } catch (const Error& error) {
      if (!is_of_image(error)) throw;
      print_error("fsck: " + printable(name) + ": " + error.message(), error.hint());
    }
  }
}

bool stands_on(const runner::Container& container, const layerstore::Digest& diff_id) {
  const auto& notes = container.config().notes;
  const auto noted = notes.find(note::kDiffIds);
  if (noted == notes.end()) return false;
  const std::vector<std::string> diff_ids = split(noted->second, ',');
  return std::ranges::find(diff_ids, diff_id.to_string()) != diff_ids.end();
}

/// The containers that stand on a layer.
struct Standing {
  std::vector<std::string> running;    ///< or about to
  std::vector<FileLock> kept_at_rest;  ///< the others: a start waits some seconds for its lock
};

Standing keep_at_rest(const runner::ContainerStore& containers, const layerstore::Digest& diff_id) {
  Standing found;
  for (const runner::Container& container : containers.list()) {
    if (!stands_on(container, diff_id)) continue;
    try {
      // First, since what is locked here would read as running; that may run without a lock, too
      const bool is_running = container.state().status == runner::Status::running;
      auto lock = is_running ? std::nullopt : container.try_lock();
      if (lock)
        found.kept_at_rest.push_back(std::move(*lock));
      else
        found.running.push_back(container.config().name);
    } catch (const Error& error) {
      if (error.code() != Errc::not_found) throw;  // it was removed just now
    }
  }
  return found;
}

/// Mends what is damaged, in steps: each begins with a look at what the one before has left.
class Repair {
 public:
  Repair(const layerstore::Store& store, const runner::ContainerStore& containers,
         const registry::Connection& connection, Progress& progress)
      : store_(store), containers_(containers), connection_(connection), progress_(progress) {}

  layerstore::FsckReport run(layerstore::FsckReport report) {
    repair_locally(std::move(report));
    report = layerstore::check_store(store_, progress_);
    if (report.damages.empty()) return report;
    if (connection_.credentials)
      with_context("fsck", [&] { require_one_registry(registries_to_ask(store_, report)); });
    const auto may_replace = [this](const layerstore::Digest& diff_id) { return !is_used(diff_id); };
    fetch_left_blobs(store_, without_used(std::move(report)), connection_, may_replace, progress_);
    report = layerstore::check_store(store_, progress_);
    if (report.damages.empty()) return report;
    fetch_again(store_, without_used(std::move(report)), connection_, may_replace, progress_);
    repair_locally(layerstore::check_store(store_, progress_));
    return layerstore::check_store(store_, progress_);
  }

  /// Of damaged layers that were left as they are, who runs on them, by diff_id.
  const std::map<std::string, std::string>& used() const { return used_; }

 private:
  void repair_locally(layerstore::FsckReport report) {
    const auto replacing = [this](const layerstore::Digest& diff_id, const std::function<void()>& replace) {
      const Standing standing = keep_at_rest(containers_, diff_id);
      if (!note_users(standing, diff_id)) replace();
    };
    layerstore::repair_locally(store_, without_used(std::move(report)), replacing);
  }

  /// An unpacked layer is what its containers see: another in its place would take all files from them. One
  /// that is mounted keeps the files that it began with.
  bool is_used(const layerstore::Digest& diff_id) {
    return layerstore::is_unpacked(store_, diff_id) &&
           note_users(keep_at_rest(containers_, diff_id), diff_id);
  }

  /// Whether there are any.
  bool note_users(const Standing& standing, const layerstore::Digest& diff_id) {
    if (standing.running.empty()) return false;
    used_[diff_id.to_string()] = join(standing.running, ", ");
    return true;
  }

  /// What is used now is neither made nor fetched in vain.
  layerstore::FsckReport without_used(layerstore::FsckReport report) {
    std::erase_if(report.damages, [&](const layerstore::Damage& damage) {
      return damage.part == layerstore::DamagedPart::layer && is_used(layerstore::Digest::parse(damage.name));
    });
    return report;
  }

  const layerstore::Store& store_;
  const runner::ContainerStore& containers_;
  const registry::Connection& connection_;
  Progress& progress_;
  std::map<std::string, std::string> used_;
};

/// What to do about what could not be mended.
void tell_left(const layerstore::FsckReport& report, const std::map<std::string, std::string>& used) {
  const auto is_used = [&](const layerstore::Damage& damage) { return used.contains(damage.name); };
  const auto is_needed = [&](const layerstore::Damage& damage) { return !damage.images.empty(); };
  for (const layerstore::Damage& damage : report.damages)
    if (is_used(damage))
      print_error(fmt::format("fsck: layer {} is left as it is, since containers run on its files: {}",
                              damage.name, used.at(damage.name)),
                  "stop them, then lay fsck --repair");
  const auto is_left = [&](const layerstore::Damage& damage) { return !is_used(damage); };
  if (std::ranges::none_of(report.damages, is_left)) return;
  const bool is_any_needed = std::ranges::any_of(
      report.damages, [&](const auto& damage) { return is_left(damage) && is_needed(damage); });
  print_error("fsck: what is named last could not be mended",
              is_any_needed ? "make it again from its source (commit, import, push from another machine), or "
                              "remove it with 'lay rmi'"
                            : "no image needs it: 'lay prune' removes it, unless a container or a registry "
                              "does");
}

}  // namespace

int command_fsck(const Context& context, const Arguments& arguments) {
  bool mend = false;
  bool quiet = false;
  ConnectionFlags connection;
  Parser parser("fsck", "[flags]",
                "Reads every byte of the store and names each damaged thing. "
                "Exit code 0: all is good, 1: something is not.");
  parser.add_flag("--repair", mend, "make or fetch again what is damaged");
  parser.add_flag("-q,--quiet", quiet, "no progress");
  connection.add_to(parser);
  parser.parse(arguments);
  require_root("fsck");
  const auto existing = open_existing_store(context);
  if (!existing) {
    print_report({});
    return 0;
  }
  const layerstore::Store& store = *existing;
  const FileLock lock = store.share();
  const auto display = quiet ? nullptr : make_progress_display();
  Progress& progress = display ? *display : no_progress();

  layerstore::FsckReport report = layerstore::check_store(store, progress);
  print_report(report);
  const int status = check_records_of_registry(store);
  if (report.damages.empty()) return status;
  if (!mend) {
    print_error("fsck: " + std::to_string(report.damages.size()) + " damaged", "lay fsck --repair");
    return 1;
  }
  const registry::Connection there = connection.connection();
  const runner::ContainerStore containers = open_containers(context);
  Repair repair(store, containers, there, progress);
  report = repair.run(std::move(report));
  print_report(report);
  if (report.damages.empty()) return check_records_of_registry(store);
  tell_left(report, repair.used());
  return 1;
}

}  // namespace lay::cli
