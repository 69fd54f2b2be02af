#include "layerstore/absent_blobs.h"

#include <fcntl.h>

#include <algorithm>

#include "base/error.h"
#include "base/file_lock.h"
#include "base/folder_names.h"
#include "base/json.h"
#include "base/syscalls.h"
#include "store/store_file.h"

namespace lay::layerstore {

namespace {

constexpr const char* kFolder = "absent";
constexpr std::size_t kMaxOrigins = 8;
constexpr std::size_t kMaxRecord = 256 * 1024;  // a descriptor's annotations may be long

std::string name_of(const Digest& blob) {
  return blob.algorithm_name() + "." + blob.hex();
}

std::optional<Digest> digest_of_name(std::string name) {
  const std::size_t dot = name.find('.');
  if (dot == std::string::npos) return std::nullopt;
  name[dot] = ':';
  return Digest::try_parse(name);
}

std::optional<UniqueFd> open_folder(const UniqueFd& root) {
  return sys::try_open_at(root, kFolder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

UniqueFd make_folder(const UniqueFd& root) {
  if (sys::try_mkdir_at(root, kFolder, 0700)) sys::fsync(root);
  return sys::open_dir(root, kFolder);
}

Json to_json(const AbsentBlob& absent) {
  return Json{
      {"blob", to_json(absent.blob)}, {"diffId", absent.diff_id.to_string()}, {"origins", absent.origins}};
}

AbsentBlob parse_absent(const std::string& text) {
  const Json json = parse_json(text, "record of an absent blob");
  Digest diff_id = Digest::parse(json_string(json, "diffId"));
  std::vector<std::string> origins = json_strings(json, "origins");
  Descriptor blob = parse_descriptor(json.value("blob", Json()));
  return {.blob = std::move(blob), .diff_id = std::move(diff_id), .origins = std::move(origins)};
}

void add_origins(AbsentBlob& absent, const std::vector<std::string>& before) {
  std::vector<std::string> all = before;
  for (const std::string& origin : absent.origins) {
    std::erase(all, origin);
    all.push_back(origin);
  }
  if (all.size() > kMaxOrigins) all.erase(all.begin(), all.end() - kMaxOrigins);
  absent.origins = std::move(all);
}

}  // namespace

std::optional<AbsentBlob> AbsentBlobs::find(const Digest& blob) const {
  const auto folder = open_folder(root_);
  if (!folder) return std::nullopt;
  try {
    const auto file = try_open_regular(*folder, name_of(blob));
    if (!file) return std::nullopt;
    AbsentBlob absent = parse_absent(sys::read_all(*file, kMaxRecord));
    if (absent.blob.digest != blob || absent.origins.empty()) return std::nullopt;
    return absent;
  } catch (const Error&) {  // what cannot be read names no place to fetch from
    return std::nullopt;
  }
}

bool AbsentBlobs::has(const Descriptor& blob, const Digest& diff_id) const {
  const auto absent = find(blob.digest);
  return absent && absent->diff_id == diff_id && absent->blob.size == blob.size;
}

bool AbsentBlobs::note(const AbsentBlob& absent) const {
  const FileLock noting = FileLock::lock(make_folder(root_), LockMode::exclusive);
  AbsentBlob noted = absent;
  if (const auto before = find(absent.blob.digest)) {
    if (before->diff_id != absent.diff_id) return false;
    add_origins(noted, before->origins);
    if (*before == noted) return true;
  }
  publish_file(root_, noting.fd(), name_of(absent.blob.digest), dump_json(to_json(noted)));
  return true;
}

void AbsentBlobs::remove(const Digest& blob) const {
  if (const auto folder = open_folder(root_)) sys::try_unlink_at(*folder, name_of(blob));
}

std::vector<AbsentBlob> AbsentBlobs::list() const {
  std::vector<AbsentBlob> all;
  const auto folder = open_folder(root_);
  if (!folder) return all;
  for (const std::string& name : list_names(*folder))
    if (const auto digest = digest_of_name(name))
      if (auto absent = find(*digest)) all.push_back(std::move(*absent));
  return all;
}

void AbsentBlobs::keep_only(const std::function<bool(const Digest& blob)>& is_needed) const {
  const auto folder = open_folder(root_);
  if (!folder) return;
  for (const std::string& name : list_names(*folder)) {
    const auto digest = digest_of_name(name);
    if (!digest || !is_needed(*digest)) sys::try_unlink_at(*folder, name);
  }
}

}  // namespace lay::layerstore
