#include "bundle/bundle.h"

#include <fcntl.h>

#include <filesystem>

#include "base/error.h"
#include "base/pipeline.h"
#include "base/spill_memory.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "images/root_view.h"
#include "layerstore/apply.h"
#include "layerstore/diff.h"
#include "layerstore/upper_of.h"
#include "runner/portable.h"

namespace lay::cli {

namespace {

constexpr const char* kPrefix = "org.opencontainers.image.";
constexpr std::size_t kNameDigits = 12;

void add_host_resolver(runner::Spec& spec) {
  for (const char* path : {"/etc/resolv.conf", "/etc/hosts"})
    if (std::filesystem::is_regular_file(path))
      spec.mounts.push_back({.destination = path,
                             .type = "bind",
                             .source = path,
                             .options = {"bind", "ro", "rprivate", "nosuid", "noexec", "nodev"}});
}

/// The folder "rootfs" in `folder`, with all that the merged view shows.
UniqueFd unpack_root(const UniqueFd& view, const UniqueFd& folder) {
  const Spill spill = spill_beside(folder);
  sys::mkdir_at(folder, kBundleRoot, 0700);
  UniqueFd root = sys::open_dir(folder, kBundleRoot);
  run_pipeline(
      [&](ByteSink& tar) { layerstore::write_diff(view, layerstore::TreeKind::plain, tar, {}, spill); },
      [&](ByteSource& tar) {
        layerstore::apply_layer(tar, root, {.target = layerstore::ApplyTarget::root, .spill = spill});
      });
  return root;
}

UniqueFd create_file(const UniqueFd& folder, const char* name) {
  return sys::open_at(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
}

}  // namespace

std::map<std::string, std::string> image_annotations(const layerstore::ImageConfig& config) {
  std::map<std::string, std::string> result = config.run.labels;
  std::erase_if(result, [](const auto& label) { return label.first.starts_with("dev.lay."); });
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) result.insert_or_assign(std::string(kPrefix) + name, value);
  };
  add("os", config.os);
  add("architecture", config.architecture);
  add("variant", config.variant);
  add("author", config.author);
  add("created", config.created);
  add("stopSignal", config.run.stop_signal);
  add("exposedPorts", join({config.run.exposed_ports.begin(), config.run.exposed_ports.end()}, ","));
  return result;
}

runner::ContainerConfig plan_bundle(const layerstore::Image& image, RunOptions options) {
  if (options.networks.empty()) options.networks = {"none"};
  const bool is_own = options.networks == std::vector<std::string>{"none"};
  if (!is_own && options.networks != std::vector<std::string>{"host"})
    throw Error::make(Errc::unsupported, "--network '{}': a bundle has none or the host's",
                      printable(join(options.networks, ",")))
        .with_hint("the runtime that starts it knows no network of lay; join a namespace in its config.json");
  const std::string& uts = options.namespaces.uts;
  if (options.hostname.empty() && is_own && (uts.empty() || uts == "private"))
    options.hostname = image.id().hex().substr(0, kNameDigits);  // and not another one each time
  runner::ContainerConfig config = plan_container(image.config, options);
  if (!config.joined.empty())
    throw Error(Errc::unsupported, "a bundle joins no namespaces of lay's containers")
        .with_hint("ns:/proc/PID/ns/NAME joins one by its path");
  if (!is_own) add_host_resolver(config.spec);
  config.spec.root.path = kBundleRoot;
  for (const auto& [key, value] : image_annotations(image.config))
    config.spec.annotations.emplace(key, value);  // what was given counts
  return config;
}

void write_bundle(const Context& context, const layerstore::Store& store, const FoundImage& found,
                  const runner::ContainerConfig& config, const UniqueFd& folder) {
  const UniqueFd root = unpack_root(RootView(context, store, found.image, "").open(), folder);
  const runner::Spec spec = runner::make_portable(config.spec, root);
  const std::vector<std::string> points = runner::make_mount_points(root, spec);
  sys::write_all(create_file(folder, "config.json"), dump_json_pretty(runner::portable_json(spec)) + "\n");

  const UniqueFd file = create_file(folder, kBundleNotes);  // last: its time is that of the end
  const struct ::stat status = sys::stat_of(root);
  const BundleNotes notes{.image = found.name,
                          .manifest = found.image.descriptor.digest,
                          .mount_points = {points.begin(), points.end()},
                          .finished = sys::stat_of(file).st_ctim,
                          .device = status.st_dev,
                          .inode = status.st_ino};
  sys::write_all(file, dump_json_pretty(to_json(notes, found.image)) + "\n");
}

void make_bundle_upper(const Context& context, const layerstore::Store& store, const layerstore::Image& image,
                       const UniqueFd& folder, const BundleNotes& notes, const UniqueFd& upper) {
  const UniqueFd root = sys::open_dir(folder, kBundleRoot);
  const struct ::stat status = sys::stat_of(root);
  const RootView layers(context, store, image, "");
  const UniqueFd view = layers.open();
  const bool is_in_place = status.st_dev == notes.device && status.st_ino == notes.inode;
  layerstore::make_upper({.before = view,
                          .after = root,
                          .untouched_before = is_in_place ? std::optional(notes.finished) : std::nullopt,
                          .mount_points = notes.mount_points},
                         upper);
}

}  // namespace lay::cli
