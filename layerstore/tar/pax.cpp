#include "tar/pax.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "overlay/overlay_notation.h"
#include "tar/acl_text.h"
#include "tar/entry_check.h"
#include "tar/tar_block.h"
#include "tar/tar_writer.h"

namespace lay::layerstore {

namespace {

struct Record {
  std::string_view key;
  std::string_view value;
};

[[noreturn]] void throw_malformed() {
  throw Error(Errc::invalid, "the pax header holds a malformed record");
}

/// Takes one "LENGTH KEY=VALUE\n" from the front of `rest`, where LENGTH counts the whole record.
Record take_record(std::string_view& rest) {
  const std::size_t space = rest.find(' ');
  if (space == std::string_view::npos || space > 7) throw_malformed();  // at most 1 MiB: seven digits
  const auto length = parse_number(rest.substr(0, space));
  if (!length || *length > rest.size() || *length < space + 4) throw_malformed();
  const std::string_view body = rest.substr(space + 1, *length - space - 1);
  const std::size_t equals = body.find('=');
  if (body.back() != '\n' || equals == std::string_view::npos || equals == 0) throw_malformed();
  rest.remove_prefix(*length);
  return {body.substr(0, equals), body.substr(equals + 1, body.size() - equals - 2)};
}

[[noreturn]] void throw_bad_value(const Record& record) {
  throw Error::make(Errc::invalid, "the pax header's {} '{}' is not valid", printable(record.key),
                    printable(record.value.substr(0, 100)));
}

/// An empty value would mean "as in the ustar header" to some readers and an empty name to others.
std::string parse_text(const Record& record) {
  if (record.value.empty() || record.value.find('\0') != std::string_view::npos) throw_bad_value(record);
  return std::string(record.value);
}

std::int64_t parse_whole(const Record& record, std::string_view digits) {
  const auto number = parse_number(digits);
  if (!number || *number > std::uint64_t{INT64_MAX}) throw_bad_value(record);
  return static_cast<std::int64_t>(*number);
}

/// Decimal seconds with any count of digits after the point; nanoseconds count upwards from the second below.
timespec parse_seconds(const Record& record) {
  std::string_view text = record.value;
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const std::size_t point = text.find('.');
  std::string fraction(point == std::string_view::npos ? "" : text.substr(point + 1));
  if (!std::all_of(fraction.begin(), fraction.end(), [](char c) { return c >= '0' && c <= '9'; }))
    throw_bad_value(record);
  fraction.resize(9, '0');
  timespec time{.tv_sec = parse_whole(record, text.substr(0, point)),
                .tv_nsec = parse_whole(record, fraction)};
  if (!negative) return time;
  time.tv_sec = -time.tv_sec;
  if (time.tv_nsec > 0) time = {.tv_sec = time.tv_sec - 1, .tv_nsec = 1'000'000'000 - time.tv_nsec};
  return time;
}

void check_charset(const Record& record) {
  if (record.value != "BINARY" && record.value != "ISO-IR 10646 2000 UTF-8") throw_bad_value(record);
}

enum class Heeded { yes, no };

constexpr std::string_view kSparse = "GNU.sparse.";

/// Collects the records of one sparse file, which belong together.
class SparseRecords {
 public:
  void add(const Record& record) {
    const std::string_view key = record.key.substr(kSparse.size());
    auto& value = key == "major"      ? major_
                  : key == "minor"    ? minor_
                  : key == "name"     ? name_
                  : key == "realsize" ? size_
                                      : other_;
    value = record;
  }

  /// Empty when there were none.
  std::optional<SparsePax> result() const {
    if (!major_ && !minor_ && !name_ && !size_ && !other_) return std::nullopt;
    if (other_ || !major_ || major_->value != "1" || !minor_ || minor_->value != "0")
      throw Error(Errc::unsupported, "sparse files of pax formats before 1.0 are not supported")
          .with_hint("make the tar with --sparse-version=1.0, or without --sparse");
    if (!name_ || !size_)
      throw Error(Errc::invalid, "the pax header of a sparse file lacks its name or size");
    return SparsePax{.name = parse_text(*name_),
                     .size = static_cast<std::uint64_t>(parse_whole(*size_, size_->value))};
  }

 private:
  std::optional<Record> major_;
  std::optional<Record> minor_;
  std::optional<Record> name_;
  std::optional<Record> size_;
  std::optional<Record> other_;  ///< of another format
};

constexpr std::string_view kAclPrefix = "SCHILY.acl.";
constexpr std::string_view kOverlayPrefix = "SCHILY.xattr.trusted.overlay.";
constexpr std::string_view kUserOverlayPrefix = "SCHILY.xattr.user.overlay.";

/// The attribute that a record with an access list as text stands for; empty when it is none of ours
/// (SCHILY.acl.ace is NFS's).
std::string_view acl_xattr(std::string_view key) {
  if (!key.starts_with(kAclPrefix)) return {};
  key.remove_prefix(kAclPrefix.size());
  return key == "access" ? kAccessAcl : key == "default" ? kDefaultAcl : std::string_view();
}

/// Puts one record into `pax`; says whether it is one that changes the entry.
Heeded apply_record(const Record& record, PaxAttributes& pax, SparseRecords& sparse) {
  if (record.key == "path") {
    pax.path = parse_text(record);
  } else if (record.key == "linkpath") {
    pax.link = parse_text(record);
  } else if (record.key == "size") {
    pax.size = static_cast<std::uint64_t>(parse_whole(record, record.value));
  } else if (record.key == "uid") {
    pax.uid = parse_whole(record, record.value);
  } else if (record.key == "gid") {
    pax.gid = parse_whole(record, record.value);
  } else if (record.key == "mtime") {
    pax.mtime = parse_seconds(record);
  } else if (record.key.starts_with(kPaxXattrPrefix)) {
    const std::string_view name = record.key.substr(kPaxXattrPrefix.size());
    if (is_kept_xattr(name)) pax.xattrs.push_back({std::string(name), std::string(record.value)});
  } else if (record.key.starts_with(kSparse)) {
    sparse.add(record);
  } else {
    if (record.key == "hdrcharset") check_charset(record);
    return Heeded::no;
  }
  return Heeded::yes;
}

}  // namespace

PaxAttributes parse_pax(std::string_view records) {
  PaxAttributes pax;
  SparseRecords sparse;
  std::set<std::string_view> seen;
  while (!records.empty()) {
    const Record record = take_record(records);
    if (record.key.find('\0') != std::string_view::npos) throw_malformed();
    if (!seen.insert(record.key).second)
      throw Error::make(Errc::invalid, "the pax header gives '{}' twice", printable(record.key));
    apply_record(record, pax, sparse);
  }
  pax.sparse = sparse.result();
  return pax;
}

bool may_differ_in_layer(std::string_view bytes) {
  return bytes.find(kAclPrefix) != std::string_view::npos ||
         bytes.find(kOverlayPrefix) != std::string_view::npos ||
         bytes.find(kUserOverlayPrefix) != std::string_view::npos;
}

std::optional<std::string> as_layer_records(std::string_view records) {
  if (!may_differ_in_layer(records)) return std::nullopt;
  std::string changed;
  std::set<std::string, std::less<>> attributes;
  std::vector<Record> lists;
  bool is_changed = false;
  while (!records.empty()) {
    const std::string_view before = records;
    const Record record = take_record(records);
    const bool is_xattr = record.key.starts_with(kPaxXattrPrefix);
    if (is_xattr) attributes.emplace(record.key);
    if (record.key.starts_with(kOverlayPrefix)) {
      const std::string name = stored_xattr_name(record.key.substr(kPaxXattrPrefix.size()));
      changed += write_pax_record(std::string(kPaxXattrPrefix) + name, record.value);
      is_changed = true;
    } else if (is_xattr && is_user_mark(record.key.substr(kPaxXattrPrefix.size()))) {
      is_changed = true;  // no layer has it
    } else if (acl_xattr(record.key).empty()) {
      changed += before.substr(0, before.size() - records.size());
    } else {
      lists.push_back(record);
    }
  }
  if (lists.empty() && !is_changed) return std::nullopt;
  for (const Record& list : lists) {
    const std::string key = std::string(kPaxXattrPrefix) + std::string(acl_xattr(list.key));
    if (attributes.contains(key)) continue;
    const std::string value = with_context(std::string(list.key), [&] { return parse_acl_text(list.value); });
    if (!value.empty()) changed += write_pax_record(key, value);
  }
  return changed;
}

void check_global_pax(std::string_view records) {
  PaxAttributes ignored;
  SparseRecords sparse;
  while (!records.empty()) {
    const Record record = take_record(records);
    if (apply_record(record, ignored, sparse) == Heeded::yes)
      throw Error::make(Errc::invalid,
                        "a global pax header sets '{}', which readers of tar treat differently",
                        printable(record.key));
  }
}

}  // namespace lay::layerstore
