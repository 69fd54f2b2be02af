#include "layerstore/layer_mounts.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/folder_names.h"
#include "base/linger.h"
#include "base/mount.h"
#include "base/remove_tree.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "erofs_mount.h"
#include "overlay_notation.h"
#include "parent_folders.h"
#include "store_file.h"

namespace lay::layerstore {

namespace {

constexpr const char* kFolder = "layers";
constexpr const char* kLock = "lock";
constexpr const char* kLinger = "linger";
constexpr std::string_view kLockSuffix = ".lock";
constexpr std::string_view kParentsSuffix = ".parents";
constexpr int kPlace = O_PATH | O_DIRECTORY | O_NOFOLLOW;

std::string folder_of(const std::string& run) {
  return run + "/" + kFolder;
}

/// RUN/layers, under its lock. What was opened before it may be a mount that is gone since.
struct MountFolder {
  explicit MountFolder(const std::string& run)
      : lock(FileLock::acquire(make(run), kLock, LockMode::exclusive)),
        fd(sys::open_dir(sys::cwd(), folder_of(run))) {}

  FileLock lock;
  UniqueFd fd;

 private:
  static UniqueFd make(const std::string& run) {
    sys::try_mkdir_at(sys::cwd(), run, 0700);
    sys::try_mkdir_at(sys::cwd(), folder_of(run), 0700);
    return sys::open_dir(sys::cwd(), folder_of(run));
  }
};

/// Makes `folder` a private mount of itself, when it is none yet.
void require_private_mount(UniqueFd& folder, const std::string& run) {
  if (is_mount_root(folder)) return;
  const UniqueFd copy = clone_tree(folder, Recursion::no);
  set_mount_attributes(copy, {.propagation = MS_PRIVATE}, Recursion::no);
  attach_mount(copy, folder);
  folder = sys::open_dir(sys::cwd(), folder_of(run));
}

bool is_mounted(const UniqueFd& folder, const std::string& name) {
  const auto place = sys::try_open_at(folder, name, kPlace);
  return place && is_mount_root(*place);
}

void mount_layer(UniqueFd& folder, const std::string& run, const std::string& name, const OpenLayer& layer) {
  if (is_mounted(folder, name)) return;
  require_private_mount(folder, run);
  sys::try_mkdir_at(folder, name, 0700);
  attach_mount(mount_erofs(layer.image, layer.tar), sys::open_at(folder, name, kPlace));
}

FileLock use(const UniqueFd& folder, const std::string& name) {
  return FileLock::acquire(folder, name + std::string(kLockSuffix), LockMode::shared);
}

bool has_opaque_root(const std::string& path) {
  return sys::get_xattr(sys::open_at(sys::cwd(), path, O_RDONLY | O_DIRECTORY), kOpaqueXattr) == "y";
}

/// What RUN/layers holds, and which of it nobody uses.
class UnusedLayers {
 public:
  explicit UnusedLayers(const UniqueFd& folder) : folder_(folder) {}

  bool any() const {
    const std::vector<std::string> names = list();
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return !!try_take(name); }) ||
           (names.empty() && is_mount_root(folder_));
  }

  void remove() const {
    for (const std::string& name : list())
      if (const auto taken = try_take(name)) remove_one(name);
    if (list().empty() && is_mount_root(folder_)) detach_mount(folder_);
  }

 private:
  /// Names of what is mounted or made here.
  std::vector<std::string> list() const {
    std::vector<std::string> names;
    for (const std::string& name : list_names(folder_))
      if (S_ISDIR(sys::stat_at(folder_, name).st_mode)) names.push_back(name);
    return names;
  }

  std::optional<FileLock> try_take(const std::string& name) const {
    return FileLock::try_acquire(folder_, name + std::string(kLockSuffix), LockMode::exclusive);
  }

  void remove_one(const std::string& name) const {
    const UniqueFd place = sys::open_at(folder_, name, kPlace);
    if (is_mount_root(place)) {
      if (filesystem_magic(place) != EROFS_SUPER_MAGIC_V1) return;  // somebody else's
      detach_mount(place);
      sys::unlink_at(folder_, name, AT_REMOVEDIR);
    } else {
      remove_tree(folder_, name);
    }
    sys::try_unlink_at(folder_, name + std::string(kLockSuffix));
  }

  const UniqueFd& folder_;
};

/// After a failure, which is what matters then.
void remove_unused(const UniqueFd& folder) noexcept {
  try {
    UnusedLayers(folder).remove();
  } catch (const std::exception&) {
    // The next release tries again
  }
}

/// Whether the layer at `index` is there once more further up. All it has is shown by that one, and the
/// kernel takes no folder twice.
bool recurs_above(std::span<const Digest> diff_ids, std::size_t index) {
  const auto above = diff_ids.subspan(index + 1);
  return std::find(above.begin(), above.end(), diff_ids[index]) != above.end();
}

/// Of the layer's mount. A layer that was made again has another file, and must not be taken for the one that
/// is still mounted.
std::string mount_name(const Digest& diff_id, const OpenLayer& layer) {
  const struct ::stat image = sys::stat_of(layer.image);
  return fmt::format("{}-{:x}-{:x}", diff_id.hex(), image.st_dev, image.st_ino);
}

/// The key of what depends on the whole stack.
std::string stack_key(const std::vector<std::string>& lowers) {
  return digest_of(join(lowers, "\n")).hex();
}

Lowers mount_all(UniqueFd& folder, const std::string& run, const LayerStore& layers,
                 std::span<const Digest> diff_ids) {
  Lowers lowers;
  std::vector<std::vector<std::string>> implied;
  for (std::size_t i = diff_ids.size(); i-- > 0;) {
    if (recurs_above(diff_ids, i)) continue;
    OpenLayer layer = layers.open(diff_ids[i]);
    if (layer.form == LayerForm::tree) {
      lowers.paths.push_back(layer.tree_path);
    } else {
      const std::string name = mount_name(diff_ids[i], layer);
      with_context(fmt::format("mount layer {}", diff_ids[i].to_string()),
                   [&] { mount_layer(folder, run, name, layer); });
      lowers.held.push_back(use(folder, name));
      lowers.paths.push_back(folder_of(run) + "/" + name);
    }
    implied.push_back(std::move(layer.implied));
    if (i > 0 && has_opaque_root(lowers.paths.back())) break;
  }
  const std::vector<ParentFolder> parents = plan_parents(lowers.paths, implied);
  if (parents.empty()) return lowers;
  const std::string name = stack_key(lowers.paths) + std::string(kParentsSuffix);
  make_parents(folder, name, parents);
  lowers.held.push_back(use(folder, name));
  lowers.paths.insert(lowers.paths.begin(), folder_of(run) + "/" + name);
  return lowers;
}

}  // namespace

Lowers LayerMounts::acquire(const LayerStore& layers, std::span<const Digest> diff_ids) const {
  MountFolder mounted(run_);
  try {
    return mount_all(mounted.fd, run_, layers, diff_ids);
  } catch (const std::exception&) {
    remove_unused(mounted.fd);
    throw;
  }
}

void LayerMounts::release(Lowers lowers) const {
  if (lowers.held.empty()) return;
  const MountFolder mounted(run_);
  lowers.held.clear();
  tidy_later(folder_of(run_), kLinger, [run = run_]() -> Tidying {
    const auto folder = std::make_shared<UniqueFd>(sys::open_dir(sys::cwd(), folder_of(run)));
    return {.locked =
                [folder, run](const std::function<void()>& body) {
                  MountFolder held(run);
                  *folder = std::move(held.fd);
                  body();
                },
            .is_due = [folder] { return UnusedLayers(*folder).any(); },
            .remove = [folder] { UnusedLayers(*folder).remove(); }};
  });
}

}  // namespace lay::layerstore
