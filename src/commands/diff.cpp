#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "images/image_lookup.h"
#include "images/root_view.h"
#include "layerstore/compare.h"
#include "layerstore/store_spill.h"
#include "output/listing_printer.h"

namespace lay::cli {

namespace {

using layerstore::Change;
using layerstore::ChangeKind;
using layerstore::Image;

struct DiffOptions {
  std::string left;
  std::string right;
  std::string base;
  std::string format;
  bool with_sizes = false;
};

/// What an argument names: an image, and perhaps an upper on it.
struct Side {
  Image image;
  std::string upper;
  std::optional<FileLock> kept;  ///< the container's files, which nobody shall remove half-read
};

DiffOptions parse_options(const Arguments& arguments) {
  DiffOptions options;
  Parser parser("diff", "[flags] CONTAINER|IMAGE|./UPPER [CONTAINER|IMAGE|./UPPER]",
                "Lists what the first changed: A added, C changed, D removed. Compared "
                "with the second, or a container with its image, an image with the "
                "layers below its topmost one.");
  parser.add_option("left", options.left, "container, image, or a folder written with a '/'").required();
  parser.add_option("right", options.right, "what to compare with");
  parser.add_option("--base", options.base, "image that upper folders lie on (default: the second argument)")
      .type_name("IMAGE");
  parser.add_option("--format", options.format, "json, jsonl, or a template").type_name("FORMAT");
  parser.add_flag("-s,--size", options.with_sizes, "by how many bytes each file grew or shrank");
  parser.parse(arguments);
  return options;
}

std::optional<Side> find_container(const Context& context, const layerstore::Store& store,
                                   const std::string& name) {
  const auto container = open_containers(context).try_find(name);
  if (!container) return std::nullopt;
  return Side{.image = image_of(*container, store),
              .upper = container->path() + "/upper",
              .kept = container->keep_files()};
}

Error unknown_base(const std::string& upper) {
  return Error::make(Errc::invalid, "'{}' is an upper folder of an unknown image", printable(upper))
      .with_hint(fmt::format("lay diff --base IMAGE {}", printable(upper)));
}

/// What has to be in the store in any case.
std::string first_needed(const DiffOptions& options) {
  for (const std::string& text : {options.left, options.base, options.right})
    if (!text.empty() && !is_folder_argument(text)) return text;
  throw unknown_base(options.left);
}

Side find_side(const Context& context, const layerstore::Store& store, const std::string& text,
               const std::string& base) {
  if (is_folder_argument(text)) {
    if (base.empty()) throw unknown_base(text);
    return {.image = find_image(store, base).image, .upper = std::filesystem::absolute(text).string()};
  }
  if (auto side = find_container(context, store, text)) return std::move(*side);
  return {.image = find_image(store, text).image};
}

/// What a side stands on when nothing else is named.
Side default_base(const Side& side) {
  Side base{.image = side.image};
  if (!side.upper.empty() || base.image.config.diff_ids.empty()) return base;
  base.image.config.diff_ids.pop_back();
  base.image.manifest.layers.pop_back();
  return base;
}

/// Folders that lie in one of the two stacks only: what both have at the bottom is left out.
std::vector<UniqueFd> open_touched(const RootView& before, const RootView& after) {
  const auto& a = before.folders();
  const auto& b = after.folders();
  const auto [a_end, b_end] = std::mismatch(a.rbegin(), a.rend(), b.rbegin(), b.rend());
  std::vector<UniqueFd> touched;
  const auto open = [&](const std::string& path) {
    touched.push_back(sys::open_at(sys::cwd(), path, O_RDONLY | O_DIRECTORY));
  };
  std::for_each(a_end, a.rend(), open);
  std::for_each(b_end, b.rend(), open);
  return touched;
}

char letter_of(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::added:
      return 'A';
    case ChangeKind::changed:
      return 'C';
    case ChangeKind::removed:
      return 'D';
  }
  return '?';
}

std::int64_t growth_of(const Change& change) {
  return static_cast<std::int64_t>(change.size) - static_cast<std::int64_t>(change.old_size);
}

void print_change(const Change& change, const DiffOptions& options) {
  fmt::print("{} {}", letter_of(change.kind), printable(change.path));
  if (options.with_sizes) fmt::print("\t{:+}", growth_of(change));
  fmt::print("\n");
}

Json row_of(const Change& change) {
  return {{"Kind", std::string(1, letter_of(change.kind))},
          {"Path", change.path},
          {"Size", change.size},
          {"OldSize", change.old_size}};
}

}  // namespace

int command_diff(const Context& context, const Arguments& arguments) {
  const DiffOptions options = parse_options(arguments);
  require_root("diff");
  return with_context("diff " + printable(options.left), [&] {
    const layerstore::Store store = open_store_with(context, first_needed(options));
    const FileLock lock = store.share();
    const bool right_is_image = !options.right.empty() && !is_folder_argument(options.right);
    const std::string base = options.base.empty() && right_is_image ? options.right : options.base;
    const Side left = find_side(context, store, options.left, base);
    const Side right =
        options.right.empty() ? default_base(left) : find_side(context, store, options.right, options.base);

    const RootView after(context, store, left.image, left.upper);
    const RootView before(context, store, right.image, right.upper);
    const Spill spill = layerstore::spill_in(store);
    ListingPrinter printer({{"KIND", "Kind"}, {"PATH", "Path"}, {"SIZE", "Size"}, {"OLD SIZE", "OldSize"}},
                           options.format, spill);
    layerstore::compare_trees(before.open(), after.open(), open_touched(before, after), store,
                              [&](const Change& change) {
                                if (options.format.empty()) return print_change(change, options);
                                printer.add(row_of(change));
                              });
    if (!options.format.empty()) printer.finish();
    return 0;
  });
}

}  // namespace lay::cli
