#include <fmt/format.h>
#include <fnmatch.h>

#include <set>

#include "base/text.h"
#include "command.h"
#include "flags/list_flags.h"
#include "flags/options.h"
#include "images/image_lookup.h"
#include "images/image_view.h"
#include "lists/filters.h"
#include "output/listing.h"
#include "output/messages.h"

namespace lay::cli {

namespace {

Json row_of(const std::string& name, const layerstore::Image& image, bool whole_ids) {
  const SplitName parts = split_name(name);
  const auto created = parse_time(image.config.created);
  const std::string age = created ? format_age(*created, std::chrono::system_clock::now()) : "unknown";
  return Json{
      {"Repository", parts.repository},
      {"Tag", parts.tag},
      {"Names", name},
      {"Id", image.id().to_string()},
      {"ID", whole_ids ? image.id().to_string() : image.id().short_hex()},
      {"Digest", image.descriptor.digest.to_string()},
      {"CreatedAt", image.config.created},
      {"Created", age},
      {"CreatedSince", age},
      {"Size", format_size(stored_size(image))},
      {"Bytes", stored_size(image)},
  };
}

/// As docker completes it: "docker.io/debian:12" is "docker.io/library/debian:12".
std::string completed(const std::string& pattern) {
  constexpr std::string_view kHost = "docker.io/";
  const bool has_namespace = pattern.find('/', kHost.size()) != std::string::npos;
  if (!pattern.starts_with(kHost) || has_namespace) return pattern;
  return fmt::format("{}library/{}", kHost, pattern.substr(kHost.size()));
}

/// Whether the pattern fits the name or its repository, as it is stored or in a form that find_image() takes
/// for it: "docker.io/library/debian:12" is "debian:12" too.
bool fits_reference(const std::string& name, const std::string& wanted) {
  const std::string pattern = completed(wanted);
  const std::string_view stored = name;
  for (const std::string_view left_out : {"", "docker.io/", "docker.io/library/", "localhost/"}) {
    if (!stored.starts_with(left_out)) continue;
    const std::string shown(stored.substr(left_out.size()));
    if (::fnmatch(pattern.c_str(), shown.c_str(), FNM_PATHNAME) == 0 ||
        ::fnmatch(pattern.c_str(), split_name(shown).repository.c_str(), FNM_PATHNAME) == 0)
      return true;
  }
  return false;
}

/// When the image was made that "before=" or "since=" names.
std::optional<Time> time_of(const std::optional<layerstore::Store>& store, const std::string& image) {
  if (image.empty() || !store) return std::nullopt;
  return parse_time(find_image(*store, image).image.config.created);
}

bool is_true(const std::string& value) {
  if (value == "true" || value == "1") return true;
  if (value == "false" || value == "0") return false;
  throw UsageError{fmt::format("--filter: '{}' is neither true nor false", printable(value))};
}

/// The ids of all images that have a name with a tag.
std::set<layerstore::Digest> tagged_ids(const std::optional<layerstore::Store>& store) {
  std::set<layerstore::Digest> ids;
  if (!store) return ids;
  for (const layerstore::NamedImage& named : store->images().list()) {
    if (split_name(named.name).tag == "<none>") continue;
    try {
      ids.insert(store->load(named.manifest).id());
    } catch (const Error& error) {  // a damaged one is told where it is listed
      if (error.code() == Errc::cancelled) throw;
    }
  }
  return ids;
}

/// --filter.
class ImageFilter {
 public:
  ImageFilter(const std::optional<layerstore::Store>& store, const std::vector<std::string>& texts)
      : filters_(texts, {"dangling", "label", "before", "since", "reference"}),
        tagged_(filters_.has("dangling") ? tagged_ids(store) : std::set<layerstore::Digest>()),
        before_(time_of(store, filters_.last("before"))),
        since_(time_of(store, filters_.last("since"))) {}

  bool fits(const std::string& name, const layerstore::Image& image) const {
    // Its id is what scripts pass to rmi -f, which takes every name that it has
    const bool is_dangling = split_name(name).tag == "<none>" && !tagged_.contains(image.id());
    const auto created = parse_time(image.config.created);
    return filters_.any("dangling",
                        [&](const std::string& value) { return is_true(value) == is_dangling; }) &&
           filters_.any("reference",
                        [&](const std::string& pattern) { return fits_reference(name, pattern); }) &&
           filters_.fit_labels(image.config.run.labels) && (!before_ || (created && *created < *before_)) &&
           (!since_ || (created && *created > *since_));
  }

 private:
  Filters filters_;
  std::set<layerstore::Digest> tagged_;
  std::optional<Time> before_;
  std::optional<Time> since_;
};

/// A name by digest, beside a name with a tag that the same image has, tells nothing more.
void leave_out_digests(std::vector<Json>& rows) {
  const auto has_tag = [](const Json& row) { return row.at("Tag") != "<none>"; };
  std::set<std::string> tagged;
  for (const Json& row : rows)
    if (has_tag(row)) tagged.insert(row.at("Id").get<std::string>());
  std::erase_if(rows, [&](const Json& row) {
    return !has_tag(row) && tagged.contains(row.at("Id").get_ref<const std::string&>());
  });
}

}  // namespace

int command_images(const Context& context, const Arguments& arguments) {
  bool quiet = false;
  bool whole_ids = false;
  bool all = false;
  bool digests = false;
  std::vector<std::string> filters;
  std::string format;
  std::string wanted;
  Parser parser("images", "[flags] [NAME]",
                "Lists images. SIZE is what the compressed layers take in the store.");
  parser.add_flag("-q,--quiet", quiet, "image ids only");
  parser.add_flag("--no-trunc", whole_ids, "whole ids");
  parser.add_option("--format", format, "json, jsonl, or a template: '{{.Repository}}:{{.Tag}}'")
      .type_name("FORMAT");
  parser.add_flag("-a,--all", all, "names by digest too, of images that have a tag");
  parser.add_flag("--digests", digests, "with the digests of their manifests");
  parser.add_list("-f,--filter", filters, "only those: dangling, label, before, since, reference",
                  "KEY=VALUE");
  ListFlags list({{"created", "CreatedAt", true},
                  {"id", "ID"},
                  {"repository", "Repository"},
                  {"size", "Bytes"},
                  {"tag", "Tag"}});
  list.add_to(parser, "-n,--noheading");
  parser.add_option("name", wanted, "only images with this name or repository, or that fit it: 'team/*'");
  parser.parse(arguments);

  const auto store = open_existing_store(context);
  const ImageFilter filter(store, filters);
  std::vector<Json> rows;
  for (const layerstore::NamedImage& named :
       store ? store->images().list() : std::vector<layerstore::NamedImage>{}) {
    if (!wanted.empty() && !fits_reference(named.name, wanted)) continue;
    try {
      const layerstore::Image image = store->load(named.manifest);
      if (filter.fits(named.name, image)) rows.push_back(row_of(named.name, image, whole_ids));
    } catch (const Error& error) {  // one damaged image must not hide the others
      print_error(fmt::format("images: {}: {}", printable(named.name), error.message()), error.hint());
    }
  }
  if (!all) leave_out_digests(rows);
  list.sort(rows);
  if (quiet) format = "{{.ID}}";
  std::vector<Column> columns{{"REPOSITORY", "Repository"}, {"TAG", "Tag"}};
  if (digests) columns.push_back({"DIGEST", "Digest"});
  columns.insert(columns.end(), {{"IMAGE ID", "ID"}, {"CREATED", "Created"}, {"SIZE", "Size"}});
  print_listing(rows, columns, format, list.heading());
  return 0;
}

}  // namespace lay::cli
