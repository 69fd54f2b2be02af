#include "transfer/transfer_notes.h"

#include <fcntl.h>

#include <algorithm>
#include <ctime>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/folder_names.h"
#include "base/json.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::registry {

namespace {

constexpr const char* kFolder = "transfers";
constexpr const char* kUpload = "upload.";
constexpr std::time_t kKeptSeconds = 7 * 24 * 3600;  // as the parts of pulls
constexpr std::size_t kMaxPlaces = 4096;             // lines for one registry
constexpr std::size_t kMaxText = 1024 * 1024;

std::optional<UniqueFd> open_folder(const std::string& root) {
  try {
    const UniqueFd store = sys::open_dir(sys::cwd(), root);
    sys::try_mkdir_at(store, kFolder, 0700);
    return sys::open_dir(store, kFolder);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<std::string> read_text(const UniqueFd& folder, const std::string& name) {
  try {
    const auto file = sys::try_open_at(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!file || !S_ISREG(sys::stat_of(*file).st_mode)) return std::nullopt;
    return sys::read_all(*file, kMaxText);
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// Not synced: a power cut costs one more request at most.
void write_text(const UniqueFd& folder, const std::string& name, std::string_view text) {
  try {
    AtomicFile file(folder, name);
    file.write(text);
    file.publish();
  } catch (const Error&) {  // a full or read-only disk: the transfer does not need it
  }
}

void forget_old_uploads(const UniqueFd& folder) {
  try {
    for (const std::string& name : list_names(folder)) {
      if (!name.starts_with(kUpload)) continue;
      const auto info = sys::try_stat_at(folder, name);
      if (info && info->st_mtime < std::time(nullptr) - kKeptSeconds) sys::try_unlink_at(folder, name);
    }
  } catch (const Error&) {  // tried again the next time
  }
}

}  // namespace

TransferNotes::TransferNotes(const std::string& root, std::string domain)
    : folder_(open_folder(root)), domain_(std::move(domain)) {
  if (folder_) forget_old_uploads(*folder_);
}

std::string TransferNotes::upload_name(const std::string& repository, const layerstore::Digest& blob) const {
  const std::string key = domain_ + "/" + repository + "@" + blob.to_string();
  return kUpload + layerstore::digest_of(key).hex();
}

std::optional<UploadSession> TransferNotes::upload(const std::string& repository,
                                                   const layerstore::Digest& blob) const {
  if (!folder_) return std::nullopt;
  const auto text = read_text(*folder_, upload_name(repository, blob));
  if (!text) return std::nullopt;
  try {
    const Json json = parse_json(*text, "upload");
    return UploadSession{.location = json_string(json, "location"),
                         .offset = json.value("offset", std::uint64_t{0})};
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

void TransferNotes::keep_upload(const std::string& repository, const layerstore::Digest& blob,
                                const UploadSession& session) const {
  if (!folder_) return;
  const Json json{{"location", session.location}, {"offset", session.offset}};
  write_text(*folder_, upload_name(repository, blob), json.dump());
}

void TransferNotes::forget_upload(const std::string& repository, const layerstore::Digest& blob) const {
  if (!folder_) return;
  try {
    sys::try_unlink_at(*folder_, upload_name(repository, blob));
  } catch (const Error&) {  // asked of the registry the next time
  }
}

std::string TransferNotes::places_name() const {
  return "places." + layerstore::digest_of(domain_).hex();
}

std::vector<std::string> TransferNotes::place_lines() const {
  const auto text = folder_ ? read_text(*folder_, places_name()) : std::nullopt;
  std::vector<std::string> lines = split(text.value_or(""), '\n');
  std::erase(lines, "");
  return lines;
}

std::vector<std::string> TransferNotes::repositories_of(const layerstore::Digest& blob) const {
  const std::string start = blob.to_string() + " ";
  std::vector<std::string> found;
  for (const std::string& line : place_lines())
    if (line.starts_with(start)) found.push_back(line.substr(start.size()));
  return found;
}

void TransferNotes::forget_place(const std::string& repository, const layerstore::Digest& blob) const {
  std::vector<std::string> lines = place_lines();
  if (std::erase(lines, blob.to_string() + " " + repository) == 0) return;
  lines.emplace_back();  // the last line's end
  write_text(*folder_, places_name(), join(lines, "\n"));
}

void TransferNotes::remember(const std::string& repository, const std::set<layerstore::Digest>& blobs) const {
  if (!folder_ || blobs.empty()) return;
  std::vector<std::string> lines = place_lines();
  const std::size_t before = lines.size();
  for (const layerstore::Digest& blob : blobs) {
    std::string line = blob.to_string() + " " + repository;
    if (std::find(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(before), line) !=
        lines.begin() + static_cast<std::ptrdiff_t>(before))
      continue;
    lines.push_back(std::move(line));
  }
  if (lines.size() == before) return;
  if (lines.size() > kMaxPlaces)
    lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(kMaxPlaces));
  write_text(*folder_, places_name(), join(lines, "\n") + "\n");
}

}  // namespace lay::registry
