#include "archive/archive_members.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/cancel.h"
#include "base/error.h"
#include "base/json.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "codec/limited_source.h"
#include "images/new_image.h"
#include "layers/layer_stream.h"
#include "layerstore/whole_image.h"
#include "tar/entry_path.h"
#include "tar/tar_fields.h"

namespace lay::layerstore {

namespace {

constexpr std::size_t kMaxMembers = kMaxParts + 2;  // oci-layout and index.json, or manifest.json
constexpr int kMaxLinks = 8;
constexpr std::string_view kLayerSuffix = ".tar";

/// The data of the current entry of a tar.
class MemberSource final : public ByteSource {
 public:
  explicit MemberSource(TarReader& tar) : tar_(tar) {}

  std::size_t read(std::span<std::byte> out) override {
    if (piece_.empty()) piece_ = tar_.read_data();
    const std::size_t count = std::min(out.size(), piece_.size());
    if (count > 0) std::memcpy(out.data(), piece_.data(), count);
    piece_ = piece_.subspan(count);
    return count;
  }

 private:
  TarReader& tar_;
  std::span<const std::byte> piece_;
};

std::string read_text(ByteSource& source) {
  StringSink text;
  pump(source, text);
  return text.text();
}

bool is_own_document(const std::string& name) {
  return name == kDockerManifest || name == kOciIndex || name == kOciLayout;
}

/// What docker wrote for its versions before 1.10, and manifest.json says better.
bool is_legacy(const std::string& name) {
  return name == "repositories" || name.ends_with("/VERSION") || name.ends_with("/json");
}

/// A tar, or something compressed: what a document never looks like.
bool looks_like_layer(std::span<const std::byte> start) {
  if (detect_compression(start) != Compression::none) return true;
  if (start.size() < kTarBlock) return false;
  TarBlock block;
  std::memcpy(&block, start.data(), sizeof block);
  const auto is_zero = [](std::byte b) { return b == std::byte{0}; };
  if (std::all_of(start.begin(), start.begin() + kTarBlock, is_zero)) return true;
  try {
    return has_good_checksum(block);
  } catch (const Error&) {
    return false;  // text where the sum would stand
  }
}

/// "blobs/sha256/…" as the digest it stands for. Throws invalid when the name is of another shape.
Digest digest_of_name(const std::string& name) {
  const std::string_view rest = std::string_view(name).substr(kBlobsFolder.size());
  const std::size_t slash = rest.find('/');
  const auto digest =
      slash == std::string_view::npos
          ? std::nullopt
          : Digest::try_parse(std::string(rest.substr(0, slash)) + ":" + std::string(rest.substr(slash + 1)));
  if (!digest) throw Error(Errc::invalid, "its name is not that of a blob");
  return *digest;
}

std::string name_of(const Digest& digest) {
  return std::string(kBlobsFolder) + digest.algorithm_name() + "/" + digest.hex();
}

/// Where a link leads to among the members; throws invalid when that is outside.
std::string link_target(const std::string& name, const TarEntry& entry) {
  std::vector<std::string> parts;
  if (entry.type == EntryType::symlink) parts = split(name, '/');
  if (!parts.empty()) parts.pop_back();
  if (entry.type == EntryType::symlink && entry.link.starts_with('/')) return {};
  for (const std::string& part : split(entry.link, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (parts.empty()) {
      return {};
    } else {
      parts.pop_back();
    }
  }
  return join(parts, "/");
}

/// podman and skopeo name a layer by its diff_id.
std::optional<Digest> announced_diff_id(const std::string& name) {
  if (!name.ends_with(kLayerSuffix)) return std::nullopt;
  return Digest::try_parse("sha256:" + name.substr(0, name.size() - kLayerSuffix.size()));
}

}  // namespace

void ArchiveMembers::read(ByteSource& archive, const KnownBlobs& known, Progress& progress) {
  TarReader tar(archive);
  while (const auto entry = tar.next()) {
    throw_if_cancelled();
    with_context(fmt::format("member '{}'", printable(entry->path)),
                 [&] { add(*entry, tar, known, progress); });
  }
}

void ArchiveMembers::add(const TarEntry& entry, TarReader& tar, const KnownBlobs& known, Progress& progress) {
  const EntryPath path = parse_entry_path(entry.path);
  if (entry.type == EntryType::directory) return;
  const std::string name = path.full();
  if (members_.size() == kMaxMembers)
    throw Error::make(Errc::invalid, "the archive has more than {} members", kMaxMembers);
  if (members_.contains(name)) throw Error(Errc::invalid, "the archive has it twice");
  if (entry.type == EntryType::symlink || entry.type == EntryType::hardlink) {
    members_[name].link = link_target(name, entry);
  } else if (entry.type != EntryType::regular) {
    throw Error(Errc::invalid, "an archive of images holds files, folders and links only");
  } else {
    members_.emplace(name, read_file(name, entry.size, tar, known, progress));
  }
}

ArchiveMembers::Member ArchiveMembers::read_file(const std::string& name, std::uint64_t size, TarReader& tar,
                                                 const KnownBlobs& known, Progress& progress) {
  Member member;
  MemberSource data(tar);
  if (is_own_document(name)) {
    if (size > kMaxJsonBytes)
      throw Error::make(Errc::invalid, "it has {} bytes, expected at most {}", size, kMaxJsonBytes);
    documents_[name] = read_text(data);
    return member;
  }
  if (is_legacy(name)) return member;
  if (name.starts_with(kBlobsFolder)) {
    const Digest digest = digest_of_name(name);
    const auto task = progress.begin("blob " + digest.short_hex(), size);
    ProgressSource counted(data, *task);
    member.bytes.emplace(stage_bytes(counted, digest.algorithm()));
    member.bytes->verify({.digest = digest, .size = size});
    task->done("read");
    return member;
  }
  PeekSource peeked(data, kTarBlock);
  if (looks_like_layer(peeked.start())) {
    member.diff_id = read_layer(name, peeked, known, progress);
  } else if (size > kMaxJsonBytes) {
    member.is_too_large = true;
  } else {
    member.bytes.emplace(stage_bytes(peeked, DigestAlgorithm::sha256));
  }
  return member;
}

Digest ArchiveMembers::read_layer(const std::string& name, ByteSource& source, const KnownBlobs& known,
                                  Progress& progress) {
  const auto announced = announced_diff_id(name);
  const auto task = progress.begin("layer " + (announced ? announced->short_hex() : name), 0);
  if (!announced || !known.find(*announced)) {
    Digest diff_id = stage_layer(source, *task);
    task->done("read");
    return diff_id;
  }
  HashingSource hashed(source);
  drain(hashed);
  Digest got = hashed.digest();
  if (got != announced) throw Error::make(Errc::corrupt, "got diff_id {}", got.to_string());
  task->done("already there");
  return got;
}

BlobWriter ArchiveMembers::stage_bytes(ByteSource& source, DigestAlgorithm algorithm) {
  BlobWriter writer = store_.blobs().begin(algorithm);
  pump(source, writer);
  return writer;
}

Digest ArchiveMembers::stage_layer(ByteSource& source, Progress::Task& task) {
  StagedTar staged = stage_tar(store_, {}, TreeForm::make, task, [&](ByteSink& tar) {
    PeekSource peeked(source, kTarBlock);
    CountingSource packed(peeked);
    const auto plain = make_decompressor(detect_compression(peeked.start()), packed);
    LimitedSource limited(*plain, store_.layers().limits(), [&] { return packed.count(); });
    pump(limited, tar);
    drain(peeked);
  });
  Digest diff_id = staged.tar().diff_id;
  layers_.emplace(diff_id, std::move(staged));
  return diff_id;
}

std::optional<std::string> ArchiveMembers::document(const std::string& name) const {
  const auto it = documents_.find(name);
  if (it == documents_.end()) return std::nullopt;
  return it->second;
}

BlobWriter* ArchiveMembers::blob(const Digest& digest) {
  const auto it = members_.find(name_of(digest));
  if (it == members_.end()) return nullptr;
  if (!it->second.bytes) throw Error::make(Errc::invalid, "blob {} is no file", digest.to_string());
  return &*it->second.bytes;
}

ArchiveMembers::Member& ArchiveMembers::resolve(const std::string& name) {
  std::string target = name;
  while (target.starts_with("./")) target.erase(0, 2);  // as of the members themselves
  for (int links = 0; links < kMaxLinks; ++links) {
    const auto it = members_.find(target);
    if (it == members_.end()) break;
    if (!it->second.link) return it->second;
    target = *it->second.link;
  }
  throw Error::make(Errc::invalid, "the archive has no file '{}'", printable(name));
}

BlobWriter& ArchiveMembers::file(const std::string& name) {
  Member& member = resolve(name);
  if (!member.bytes)
    throw Error::make(Errc::invalid, "'{}' is no document{}", printable(name),
                      member.is_too_large ? fmt::format(": more than {} bytes", kMaxJsonBytes) : "");
  return *member.bytes;
}

Digest ArchiveMembers::layer(const std::string& name, Progress& progress) {
  Member& member = resolve(name);
  if (member.diff_id) return *member.diff_id;
  if (!member.bytes) throw Error::make(Errc::invalid, "'{}' is no layer", printable(name));
  // A layout's blobs are taken in as they are, before it is known what they are for.
  const auto task = progress.begin("layer " + member.bytes->digest().short_hex(), member.bytes->size());
  const UniqueFd bytes = member.bytes->open_written();
  FdSource source(bytes);
  member.diff_id =
      with_context(fmt::format("member '{}'", printable(name)), [&] { return stage_layer(source, *task); });
  task->done("read");
  return *member.diff_id;
}

StagedTar* ArchiveMembers::staged(const Digest& diff_id) {
  const auto it = layers_.find(diff_id);
  return it == layers_.end() ? nullptr : &it->second;
}

}  // namespace lay::layerstore
