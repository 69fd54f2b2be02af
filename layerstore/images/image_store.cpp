#include "layerstore/image_store.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <iterator>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/file_lock.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "images/annotations.h"
#include "images/index_parts.h"
#include "images/spare_index.h"
#include "layerstore/rename_images.h"
#include "store/store_file.h"

namespace lay::layerstore {

namespace {

constexpr const char* kIndexFile = "index.json";
constexpr const char* kLockFile = "index.lock";
constexpr std::size_t kMaxName = 1024;

/// Tells which file is wrong, and what to do.
template <class Work>
auto in_index(Work&& work) {
  try {
    return std::forward<Work>(work)();
  } catch (Error& error) {
    error.add_context(fmt::format("'{}' of the store", kIndexFile));
    if (error.code() == Errc::invalid)
      error.with_hint("it holds the images' names: put it back from a copy; what they lead to is in blobs/");
    throw;
  }
}

std::string read_text(const UniqueFd& root) {
  const auto file = try_open_regular(root, kIndexFile);
  if (!file)
    throw Error::make(Errc::corrupt, "'{}' is missing in the store", kIndexFile)
        .with_hint("every store has one; is this folder still whole?");
  return in_index([&] { return sys::read_all(*file, kMaxJsonBytes); });
}

Json parse_whole(std::string_view text) {
  Json json = parse_json(text, "read");
  if (json_int(json, "schemaVersion") != 2) throw Error::make(Errc::invalid, "'schemaVersion' is not 2");
  json_array(json, "manifests");
  return json;
}

/// index.json as it is: entries that lay did not write go through unread, and so survive every change.
Json read_index(const UniqueFd& root) {
  return in_index([text = read_text(root)] { return parse_whole(text); });
}

std::string text_of(const Json& json) {
  std::string text = dump_json(json);
  if (text.size() > kMaxJsonBytes)  // it could not be read again
    throw Error::make(Errc::invalid, "'{}' would grow to {} bytes, expected at most {}", kIndexFile,
                      text.size(), kMaxJsonBytes)
        .with_hint("remove names that are no longer needed");
  return text;
}

void write_index(const UniqueFd& root, const Json& json) {
  const std::string text = text_of(json);
  publish_file(root, kIndexFile, text);
  keep_spare_index(root, kIndexFile, text.size());
}

/// One that has become smaller: a full disk is no reason to keep what was removed from it.
void write_smaller_index(const UniqueFd& root, const Json& json) {
  const std::string text = text_of(json);
  try {
    publish_file(root, kIndexFile, text);
  } catch (const Error& error) {
    if (error.code() != Errc::no_space || !try_publish_in_spare(root, kIndexFile, text)) throw;
  }
}

/// Empty when the entry has no name.
std::string name_of(const Json& entry) {
  const Json* annotations = entry.is_object() ? json_find(entry, "annotations") : nullptr;
  if (annotations == nullptr || !annotations->is_object()) return {};
  const Json* name = json_find(*annotations, kRefName);
  return name != nullptr && name->is_string() ? name->get<std::string>() : std::string();
}

NamedImage parse_entry(const Json& entry, const std::string& name) {
  Descriptor manifest = with_context(fmt::format("{}: '{}'", kIndexFile, printable(name)),
                                     [&] { return parse_descriptor(entry); });
  manifest.annotations.erase(kRefName);  // the name is of the entry, not of the image
  return {.name = name, .manifest = std::move(manifest)};
}

bool has(std::string_view text, std::string_view part) {
  return ::memmem(text.data(), text.size(), part.data(), part.size()) != nullptr;
}

/// The entry with that name. Only those are parsed that may be it: where the name stands as lay writes it, or
/// something is escaped.
std::optional<NamedImage> find_in(const IndexParts& parts, const std::string& name) {
  if (name.empty()) return std::nullopt;
  const std::string quoted = dump_json(name);
  for (const std::string_view entry : parts.manifests) {
    if (!has(entry, quoted) && !has(entry, "\\")) continue;
    const Json json = parse_json(entry, "read");
    if (name_of(json) == name) return parse_entry(json, name);
  }
  return std::nullopt;
}

/// Empty, too, where only the whole document tells.
std::optional<NamedImage> find_quickly(std::string_view text, std::span<const std::string> names) {
  try {
    const auto parts = split_index(text);
    if (!parts) return std::nullopt;
    parse_whole(parts->frame);
    for (const std::string& name : names)
      if (auto found = find_in(*parts, name)) return found;
  } catch (const Error&) {
    // Who parses all says what is wrong
  }
  return std::nullopt;
}

void require_name(const std::string& name) {
  const bool plain = printable(name) == name && name.find(' ') == std::string::npos;
  if (name.empty() || name.size() > kMaxName || !plain)
    throw Error::make(Errc::invalid, "image name '{}': expected 1 to {} printable characters without spaces",
                      printable(std::string_view(name).substr(0, 80)), kMaxName);
}

void require_own_digest(const std::string& name, const Digest& manifest, const std::optional<Digest>& index) {
  const std::size_t at = name.find('@');
  if (at == std::string::npos) return;
  const auto digest = Digest::try_parse(name.substr(at + 1));
  if (digest && (digest == manifest || digest == index)) return;
  throw Error::make(Errc::invalid, "image name '{}': the image is {}", name, manifest.to_string())
      .with_hint("give it a name without a digest");
}

struct Entry {
  std::string name;
  Json json;
};

/// The entries of the document, taken out of it: they are copied nowhere.
std::vector<Entry> take_entries(Json& json) {
  std::vector<Entry> entries;
  if (json_array(json, "manifests").empty()) return entries;  // absent or null too
  for (Json& entry : json["manifests"]) {
    std::string name = name_of(entry);
    entries.push_back({.name = std::move(name), .json = std::move(entry)});
  }
  return entries;
}

/// Unnamed entries first as they are, then the names in order: the same names give the same bytes.
void put_entries(Json& json, std::vector<Entry> entries) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& left, const Entry& right) { return left.name < right.name; });
  Json::array_t list;
  for (Entry& entry : entries) list.push_back(std::move(entry.json));
  json["manifests"] = std::move(list);
}

/// Removes the entries that `goes` says, and returns their names.
template <class Goes>
std::vector<std::string> remove_entries(const UniqueFd& root, Goes&& goes) {
  const FileLock lock = FileLock::acquire(root, kLockFile, LockMode::exclusive);
  Json json = read_index(root);
  std::vector<Entry> kept;
  std::vector<std::string> removed;
  for (Entry& entry : take_entries(json))
    if (goes(std::as_const(entry)))
      removed.push_back(std::move(entry.name));
    else
      kept.push_back(std::move(entry));
  if (removed.empty()) return removed;
  put_entries(json, std::move(kept));
  write_smaller_index(root, json);
  return removed;
}

std::string blob_path(const Digest& digest) {
  return fmt::format("blobs/{}/{}", digest.algorithm_name(), digest.hex());
}

/// For ImageStore::named_at().
void note_naming(const UniqueFd& root, const Digest& manifest) {
  const std::string path = blob_path(manifest);
  if (sys::try_stat_at(root, path)) sys::set_mtime_at(root, path, {.tv_sec = 0, .tv_nsec = UTIME_NOW});
}

}  // namespace

ImageStore::ImageStore(const UniqueFd& root) : root_(root) {}

std::vector<NamedImage> ImageStore::list() const {
  const Json json = read_index(root_);
  std::vector<NamedImage> result;
  for (const Json& entry : json_array(json, "manifests"))
    if (const std::string name = name_of(entry); !name.empty()) result.push_back(parse_entry(entry, name));
  std::stable_sort(result.begin(), result.end(),
                   [](const NamedImage& left, const NamedImage& right) { return left.name < right.name; });
  return result;
}

std::optional<Descriptor> ImageStore::find(const std::string& name) const {
  auto found = find_first(std::span(&name, 1));
  return found ? std::optional(std::move(found->manifest)) : std::nullopt;
}

std::optional<NamedImage> ImageStore::find_first(std::span<const std::string> names) const {
  const std::string text = read_text(root_);
  if (auto found = find_quickly(text, names)) return found;
  const Json json = in_index([&] { return parse_whole(text); });
  for (const std::string& name : names)
    for (const Json& entry : json_array(json, "manifests"))
      if (!name.empty() && name_of(entry) == name) return parse_entry(entry, name);
  return std::nullopt;
}

std::vector<Descriptor> ImageStore::roots() const {
  const Json json = read_index(root_);
  std::vector<Descriptor> result;
  for (const Json& entry : json_array(json, "manifests"))
    result.push_back(with_context(kIndexFile, [&] { return parse_descriptor(entry); }));
  return result;
}

void ImageStore::put(const std::string& name, const Descriptor& manifest,
                     const std::optional<Digest>& index) const {
  require_name(name);
  require_own_digest(name, manifest.digest, index);
  Descriptor named = manifest;
  named.annotations[kRefName] = name;
  const FileLock lock = FileLock::acquire(root_, kLockFile, LockMode::exclusive);
  Json json = read_index(root_);
  std::vector<Entry> entries = take_entries(json);
  std::erase_if(entries, [&](const Entry& entry) { return entry.name == name; });
  entries.push_back({.name = name, .json = to_json(named)});
  put_entries(json, std::move(entries));
  note_naming(root_, manifest.digest);
  write_index(root_, json);
}

bool ImageStore::remove(const std::string& name) const {
  return !name.empty() &&
         !remove_entries(root_, [&](const Entry& entry) { return entry.name == name; }).empty();
}

std::vector<std::string> ImageStore::remove_unmoved(std::span<const NamedImage> images) const {
  std::map<std::string, Digest> expected;
  for (const NamedImage& image : images) expected.emplace(image.name, image.manifest.digest);
  return remove_entries(root_, [&](const Entry& entry) {
    const auto found = expected.find(entry.name);
    return found != expected.end() && parse_entry(entry.json, entry.name).manifest.digest == found->second;
  });
}

std::optional<Time> ImageStore::named_at(const Digest& manifest) const {
  const auto status = sys::try_stat_at(root_, blob_path(manifest));
  return status ? std::optional(std::chrono::system_clock::from_time_t(status->st_mtim.tv_sec))
                : std::nullopt;
}

void rename_images(const Store& store,
                   const std::function<std::optional<std::string>(const std::string& name)>& new_name) {
  const UniqueFd root = sys::open_dir(sys::cwd(), store.path());
  const FileLock lock = FileLock::acquire(root, kLockFile, LockMode::exclusive);
  Json json = read_index(root);
  std::vector<Entry> renamed;
  std::vector<Entry> others;
  std::set<std::string> taken;
  for (Entry& entry : take_entries(json)) {
    const auto name = entry.name.empty() ? std::nullopt : new_name(entry.name);
    if (!name) {
      others.push_back(std::move(entry));
      continue;
    }
    require_name(*name);
    entry.json["annotations"][kRefName] = *name;
    entry.name = *name;
    if (taken.insert(*name).second) renamed.push_back(std::move(entry));
  }
  if (renamed.empty()) return;
  std::erase_if(others, [&](const Entry& entry) { return taken.contains(entry.name); });
  std::move(others.begin(), others.end(), std::back_inserter(renamed));
  put_entries(json, std::move(renamed));
  write_index(root, json);
}

}  // namespace lay::layerstore
