#include "delegate/delegated.h"

#include <fcntl.h>

#include <utility>

#include "base/remove_tree.h"
#include "base/syscalls.h"

namespace lay::runner {

namespace {

constexpr std::size_t kIdDigits = 20;
constexpr const char* kFolder = "/delegated";

bool knows(const OtherRuntime& runtime, const std::string& id) {
  try {
    runtime.run({"state", id});
    return true;
  } catch (const Error&) {
    return false;
  }
}

void remove_folder(const std::string& folder, const std::string& id) {
  remove_tree(sys::open_dir(sys::cwd(), folder.substr(0, folder.rfind('/'))), id);
}

void clear(const OtherRuntime& runtime, const std::string& folder, const std::string& id) {
  try {
    runtime.run({"delete", "--force", id}, {.others = OtherChildren::reaped});
  } catch (Error& error) {
    // It was never created, or is gone, and what is left lies in the folder; unless it knows the container
    // still
    if (!knows(runtime, id)) return remove_folder(folder, id);
    error.with_hint(fmt::format("when the runtime has let go of it, remove '{}' by hand", folder));
    throw;
  }
  remove_folder(folder, id);
}

}  // namespace

std::string delegated_id(const ContainerConfig& config) {
  return config.id.substr(0, kIdDigits);
}

std::string runtime_id(const ContainerConfig& config) {
  return config.runtime.is_own() ? config.id : delegated_id(config);
}

OtherRuntime runtime_of(const ContainerConfig& config, const ContainerState& state) {
  if (state.delegated.empty()) throw Error::make(Errc::invalid, "container '{}' has just ended", config.name);
  return {config, state.delegated};
}

Delegated::Delegated(OtherRuntime runtime, std::string id, std::string folder, UniqueFd dir)
    : runtime_(std::move(runtime)), id_(std::move(id)), folder_(std::move(folder)), dir_(std::move(dir)) {}

Delegated Delegated::make(const std::string& run, const ContainerConfig& config) {
  const std::string id = delegated_id(config);
  sys::try_mkdir_at(sys::cwd(), run + kFolder, 0700);
  const UniqueFd all = sys::open_dir(sys::cwd(), run + kFolder);
  sys::mkdir_at(all, id, 0700);
  UniqueFd dir = sys::open_dir(all, id);
  sys::mkdir_at(dir, "root", 0700);
  const std::string folder = run + kFolder + "/" + id;
  return {OtherRuntime(config, folder), id, folder, std::move(dir)};
}

Delegated::~Delegated() {
  if (!dir_) return;
  try {
    clear(runtime(), folder_, id_);
  } catch (const std::exception&) {
    // The next start, or rm, does it
  }
}

void clear_delegated(const std::string& run, const ContainerConfig& config) {
  const std::string id = delegated_id(config);
  const std::string folder = run + kFolder + "/" + id;
  if (sys::try_stat_at(sys::cwd(), folder)) clear(OtherRuntime(config, folder), folder, id);
}

}  // namespace lay::runner
