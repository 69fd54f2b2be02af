#include "layerstore/layer_mounts.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/folder_names.h"
#include "base/linger.h"
#include "base/make_folders.h"
#include "base/mount.h"
#include "base/overlay_limit.h"
#include "base/remove_tree.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "erofs/erofs_mount.h"
#include "layers/layer_folder.h"
#include "layers/layer_image.h"
#include "layerstore/damage.h"
#include "overlay/lower_links.h"
#include "overlay/overlay_notation.h"
#include "overlay/parent_folders.h"
#include "overlay/stack_plan.h"
#include "store/list_file.h"
#include "store/store_file.h"

namespace lay::layerstore {

namespace {

constexpr const char* kFolder = "layers";
constexpr const char* kLock = "lock";
constexpr const char* kLinger = "linger";
constexpr std::string_view kLockSuffix = ".lock";
constexpr std::string_view kParentsSuffix = ".parents";
constexpr std::string_view kPlanSuffix = ".plan";
constexpr const char* kMakeOneLayer =
    "make one layer of them: pull it elsewhere, export it from there, and import that";
constexpr const char* kGetBlobs = "'lay pull --all-blobs' of the images that share the layer gets it";
constexpr int kPlace = O_PATH | O_DIRECTORY | O_NOFOLLOW;

std::string folder_of(const std::string& run) {
  return run + "/" + kFolder;
}

/// RUN/layers, under its lock. What was opened before it may be a mount that is gone since.
class MountFolder {
 public:
  explicit MountFolder(const std::string& run) : run_(run) { take(); }

  /// For what is slow: every start and end of a container needs the lock.
  void without_lock(const std::function<void()>& body) {
    lock_.reset();
    try {
      body();
    } catch (const std::exception&) {
      take();
      throw;
    }
    take();
  }
  bool is_locked() const { return lock_.has_value(); }

  UniqueFd fd;

 private:
  void take() {
    make_folders(run_);
    sys::try_mkdir_at(sys::cwd(), folder_of(run_), 0700);
    lock_ = FileLock::acquire(sys::open_dir(sys::cwd(), folder_of(run_)), kLock, LockMode::exclusive);
    fd = sys::open_dir(sys::cwd(), folder_of(run_));
  }

  std::string run_;
  std::optional<FileLock> lock_;
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
    if (!list().empty()) return;
    for (const std::string& name : list_names(folder_))
      if (name.find(kPlanSuffix) != std::string::npos)
        sys::try_unlink_at(folder_, name);  // half-made ones too
    if (is_mount_root(folder_)) detach_mount(folder_);
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
void remove_unused(const MountFolder& mounted) noexcept {
  if (!mounted.is_locked()) return;
  try {
    UnusedLayers(mounted.fd).remove();
  } catch (const std::exception&) {
    // The next release tries again
  }
}

/// Of the layer's mount. A layer that was made again has another file, and must not be taken for the one that
/// is still mounted.
std::string mount_name(const Digest& diff_id, const UniqueFd& image) {
  const struct ::stat status = sys::stat_of(image);
  return fmt::format("{}-{:x}-{:x}", diff_id.hex(), status.st_dev, status.st_ino);
}

/// Of what is mounted and how long the tar is; empty without any.
std::optional<std::string> find_damage(const OpenLayer& layer) {
  try {
    if (has_good_seal(layer.image, layer.tar, layer.folders)) return std::nullopt;
    return "its 'layer.erofs' is not what was written, or its 'layer.tar' not as long as it was";
  } catch (const Error& error) {
    if (!is_damage(error)) throw;
    return fmt::format("its 'layer.erofs': {}", error.message());
  }
}

/// Makes a layer that was made where layers are mounted again, of its tar, unless another has just done that.
void make_in_best_form(const LayerStore& layers, const Digest& diff_id) {
  const OpenLayer mounted = layers.open(diff_id);
  if (mounted.form == LayerForm::tree) return;
  FdSource tar(mounted.tar);
  LayerWriter writer = layers.begin(diff_id.algorithm());
  writer.apply(tar);
  writer.commit(diff_id);
  if (layers.open(diff_id).form != LayerForm::tree)
    throw Error(Errc::busy, "a blob of it was left in its registry just now, and its tar is kept for that")
        .with_hint(kGetBlobs);
}

/// The key of what depends on the whole stack.
std::string stack_key(std::span<const LowerFolder> lowers) {
  std::string paths;
  for (const LowerFolder& lower : lowers) paths += lower.path() + "\n";
  return digest_of(paths).hex();
}

/// By all that a plan is made of.
std::string plan_name(std::span<const Digest> diff_ids, std::span<const StackedFolders> folders) {
  std::string text;
  for (const Digest& diff_id : diff_ids) text += diff_id.to_string() + "\n";
  for (const StackedFolders& of_layer : folders)
    for (const auto* paths : {&of_layer.implied, &of_layer.with_whiteouts, &of_layer.entered})
      text += join_list(*paths) + "\n";
  return digest_of(text).hex() + std::string(kPlanSuffix);
}

/// It saves time; without it all goes on.
void try_write_plan(const UniqueFd& folder, const std::string& name, const StackPlan& plan) {
  try {
    write_plan(folder, name, plan);
  } catch (const Error&) {
    sys::try_unlink_at(folder, name);
  }
}

constexpr std::uint64_t kPathCost = 32;
constexpr std::uint64_t kMostFolderBytes = 16U << 20U;  // of their paths, in all layers of an image

/// A layer is to be made again before it can be used, which takes as long as its bytes: that is done without
/// the lock, which every start and end of a container needs.
struct Unready {
  std::function<void()> make;
};

/// The layers of one image on their way to be an overlay's lowers. Throws Unready: then all begins anew.
class Stack {
 public:
  Stack(MountFolder& mounted, const std::string& run, const Store& store, std::span<const Descriptor> blobs)
      : mounted_(mounted), folder_(mounted.fd), run_(run), store_(store), blobs_(blobs) {}

  Lowers mount(std::span<const Digest> diff_ids) {
    for (std::size_t i = diff_ids.size(); i-- > 0;) {
      add(i, diff_ids[i]);
      if (i > 0 && has_opaque_root(lowers_.back().path())) break;
    }
    const bool stands_alone = std::all_of(folders_.begin(), folders_.end(),
                                          [](const StackedFolders& folders) { return folders.empty(); });
    if (!stands_alone) follow_plan(diff_ids);
    Lowers result{.paths = distinct_paths(), .held = std::move(held_)};
    if (!parents_.empty()) result.paths.insert(result.paths.begin(), parents_);
    if (result.paths.size() > kMostLowers)
      throw Error::make(
          Errc::unsupported,
          "the image has {} layers, and with one more, of the folders that they only imply, that "
          "exceeds the {} that can be mounted",
          result.paths.size() - 1, kMostLowers)
          .with_hint(kMakeOneLayer);
    return result;
  }

 private:
  /// Of the lowers. What is there once more further up is left out: all it has is shown there, and the kernel
  /// takes no folder twice. A layer that lands at several places is several folders.
  std::vector<std::string> distinct_paths() const {
    std::vector<std::string> paths;
    for (const LowerFolder& lower : lowers_)
      if (std::find(paths.begin(), paths.end(), lower.path()) == paths.end()) paths.push_back(lower.path());
    return paths;
  }

  void add(std::size_t index, const Digest& diff_id) {
    OpenLayer layer = store_.layers().open(diff_id);
    if (layer.form == LayerForm::erofs && !is_mounted(folder_, mount_name(diff_id, layer.image)))
      require_good_seal(diff_id, layer);
    lowers_.emplace_back(find_path(index, diff_id, layer), looks_);
    indices_.push_back(index);
    require_few_folders(layer.folders);
    folders_.push_back(std::move(layer.folders));
  }

  /// Each is looked for in every layer.
  void require_few_folders(const StackedFolders& folders) {
    for (const auto* paths : {&folders.implied, &folders.with_whiteouts, &folders.entered})
      for (const std::string& path : *paths) folder_bytes_ += path.size() + kPathCost;
    if (folder_bytes_ > kMostFolderBytes)
      throw Error(Errc::unsupported, "the image's layers imply more folders than can be put together")
          .with_hint(kMakeOneLayer);
  }

  /// What is damaged is made again of the tar.
  void require_good_seal(const Digest& diff_id, const OpenLayer& layer) const {
    const std::optional<std::string> damage = find_damage(layer);
    if (!damage) return;
    throw Unready{[diff_id, damage = *damage, &layers = store_.layers()] {
      if (!layers.is_sound(diff_id) && !layers.recover(diff_id))  // another may have just done that
        throw Error::make(Errc::corrupt, "layer {} is damaged: {}", diff_id.to_string(), damage)
            .with_hint("'lay fsck --repair' makes it again");
    }};
  }

  /// A layer may have been made where layers are mounted, and be used where they are not: the store was
  /// moved, or the machine started with another kernel.
  std::string find_path(std::size_t index, const Digest& diff_id, const OpenLayer& layer) {
    try {
      return make_path(diff_id, layer);
    } catch (const Error&) {
      if (layer.form == LayerForm::tree || store_.layers().form_of_new().form == LayerForm::erofs) throw;
    }
    const std::string what =
        fmt::format("unpack layer {}, which cannot be mounted here", diff_id.to_string());
    with_context(what, [&] {
      if (index < blobs_.size()) require_blob(blobs_[index].digest);
      for (const AbsentBlob& absent : store_.absent().list())
        if (absent.diff_id == diff_id) require_blob(absent.blob.digest);
    });
    throw Unready{[what, diff_id, &layers = store_.layers()] {
      with_context(what, [&] { make_in_best_form(layers, diff_id); });
    }};
  }

  /// An unpacked layer has no tar, which then can be had of the blob alone.
  void require_blob(const Digest& blob) const {
    if (store_.blobs().has(blob)) return;
    throw Error::make(Errc::unsupported, "its tar would be lost, for blob {} was left where it came from",
                      blob.to_string())
        .with_hint(kGetBlobs);
  }

  /// Where the layer shows, mounted before if it has to be.
  std::string make_path(const Digest& diff_id, const OpenLayer& layer) {
    if (layer.form == LayerForm::tree) return layer.tree_path;
    const std::string name = mount_name(diff_id, layer.image);
    with_context(fmt::format("mount layer {}", diff_id.to_string()),
                 [&] { mount_layer(folder_, run_, name, layer); });
    held_.push_back(use(folder_, name));
    return folder_of(run_) + "/" + name;
  }

  void follow_plan(std::span<const Digest> diff_ids) {
    const std::string name = plan_name(diff_ids, folders_);
    const auto known = read_plan(folder_, name);
    StackPlan plan = known.value_or(StackPlan());
    for (std::size_t place = lowers_.size(); place-- > 0;) {
      if (!known) find_links(place, plan);
      const auto links = plan.links.find(place);
      if (links == plan.links.end()) continue;
      with_context(fmt::format("layer {}", diff_ids[indices_[place]].to_string()),
                   [&] { land(place, diff_ids, links->second); });
    }
    if (!known || plan.has_parents) plan.has_parents = add_parents();
    if (!known) try_write_plan(folder_, name, plan);
  }

  /// The layers below have landed already.
  void find_links(std::size_t place, StackPlan& plan) {
    std::vector<std::string> entered = folders_[place].implied;
    entered.insert(entered.end(), folders_[place].entered.begin(), folders_[place].entered.end());
    std::vector<LowerLink> links =
        find_lower_links(lowers_[place], std::span(lowers_).subspan(place + 1), entered);
    if (!links.empty()) plan.links.emplace(place, std::move(links));
  }

  /// Puts in the place of a layer the one whose entries have gone through the symlinks below.
  void land(std::size_t place, std::span<const Digest> diff_ids, std::span<const LowerLink> links) {
    const std::size_t index = indices_[place];
    if (index >= blobs_.size())
      throw Error(Errc::invalid,
                  "its blob is not known, and without that it cannot be laid over the symlinks below");
    const auto is_in_use = [&](const UniqueFd& image) {
      return is_mounted(folder_, mount_name(diff_ids[index], image));
    };
    const LayerStore& layers = store_.layers();
    auto landed = layers.find_landed(diff_ids[index], links, is_in_use);
    if (!landed)
      mounted_.without_lock([&] {
        landed = layers.open_landed(diff_ids[index], links, blobs_[index], store_.blobs(), is_in_use);
      });
    lowers_[place] = LowerFolder(make_path(diff_ids[index], *landed), looks_);
    folders_[place] = std::move(landed->folders);
    if (has_opaque_root(lowers_[place].path())) cut_below(place);
  }

  void cut_below(std::size_t place) {
    lowers_.erase(lowers_.begin() + static_cast<std::ptrdiff_t>(place) + 1, lowers_.end());
    indices_.resize(place + 1);
    folders_.resize(place + 1);
  }

  /// False when none are needed.
  bool add_parents() {
    const std::string name = stack_key(lowers_) + std::string(kParentsSuffix);
    if (!sys::try_stat_at(folder_, name)) {
      const std::vector<ParentFolder> parents = plan_parents(lowers_, folders_);
      if (parents.empty()) return false;
      make_parents(folder_, name, parents);
    }
    held_.push_back(use(folder_, name));
    parents_ = folder_of(run_) + "/" + name;
    return true;
  }

  MountFolder& mounted_;
  UniqueFd& folder_;  ///< of `mounted_`
  const std::string& run_;
  const Store& store_;
  std::span<const Descriptor> blobs_;  ///< of the image's layers
  std::vector<FileLock> held_;
  std::uint64_t looks_ = 0;
  std::uint64_t folder_bytes_ = 0;
  std::string parents_;  ///< path of the lower that comes on top, empty without one
  // One for each lower, topmost first
  std::vector<LowerFolder> lowers_;
  std::vector<std::size_t> indices_;  ///< among the image's layers
  std::vector<StackedFolders> folders_;
};

/// Under the lock of the mounts.
void unmount_later(const std::string& run) {
  tidy_later(folder_of(run), kLinger, [run]() -> Tidying {
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

}  // namespace

Lowers LayerMounts::acquire(const Store& store, std::span<const Digest> diff_ids,
                            std::span<const Descriptor> blobs) const {
  const auto mount = [&](std::function<void()>& make) -> std::optional<Lowers> {
    MountFolder mounted(run_);
    try {
      return Stack(mounted, run_, store, blobs).mount(diff_ids);
    } catch (Unready& unready) {
      make = std::move(unready.make);
      remove_unused(mounted);
      return std::nullopt;
    } catch (const std::exception&) {
      remove_unused(mounted);
      throw;
    }
  };
  // Each layer may have to be made once for its damage, and once for its form
  for (std::size_t tries = 0; tries <= 2 * diff_ids.size(); ++tries) {
    std::function<void()> make;
    if (auto lowers = mount(make)) return std::move(*lowers);
    make();
  }
  throw Error(Errc::busy, "its layers are replaced again and again").with_hint("'lay fsck' looks at them");
}

void LayerMounts::release(Lowers lowers) const {
  if (lowers.held.empty()) return;
  const MountFolder mounted(run_);
  lowers.held.clear();
  unmount_later(run_);
}

void LayerMounts::tidy() const {
  if (!sys::try_stat_at(sys::cwd(), folder_of(run_))) return;
  const MountFolder mounted(run_);
  if (UnusedLayers(mounted.fd).any()) unmount_later(run_);
}

}  // namespace lay::layerstore
