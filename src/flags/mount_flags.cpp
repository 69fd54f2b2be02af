#include "flags/mount_flags.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "flags/mount_words.h"

namespace lay::cli {

namespace {

constexpr const char* kExample = "--mount type=bind,src=/folder,dst=/inside,ro";
/// Where podman has one of them as well, when the root is read-only; /dev and /dev/shm are there anyhow.
constexpr std::array kUsualTmpfs{"/run", "/tmp", "/var/tmp"};

std::string absolute_source(const std::string& path) {
  return std::filesystem::absolute(path).lexically_normal();
}

runner::Mount bind_mount(const std::string& source, const std::string& destination) {
  return {.destination = destination,
          .type = "bind",
          .source = absolute_source(source),
          .options = {"rbind", "rprivate", "nosuid", "nodev"}};
}

runner::Mount tmpfs_mount(const std::string& destination) {
  return {.destination = destination,
          .type = "tmpfs",
          .source = "tmpfs",
          .options = {"nosuid", "nodev", "noexec"}};
}

/// "/path" or "/path:size=64m,mode=1777".
runner::Mount parse_tmpfs(const std::string& text) {
  const std::size_t colon = text.find(':');
  runner::Mount mount = tmpfs_mount(text.substr(0, colon));
  if (!mount.destination.starts_with('/'))
    throw Error::make(Errc::invalid, "--tmpfs '{}' is not an absolute path", printable(text))
        .with_hint("--tmpfs /run:size=64m,mode=755");
  if (colon == std::string::npos) return mount;
  for (const std::string& option : split(text.substr(colon + 1), ','))
    if (!option.empty() && option != "notmpcopyup") mount.options.push_back(option);  // as it is anyhow
  return mount;
}

/// One word of --mount after another, until all of it is known.
class MountReader {
 public:
  explicit MountReader(const std::string& text) : text_(text) {
    for (const std::string& field : split_fields(text)) {
      const std::size_t equals = field.find('=');
      words_.push_back({field.substr(0, equals), equals == std::string::npos
                                                     ? std::nullopt
                                                     : std::optional(field.substr(equals + 1))});
    }
  }

  runner::Mount read() {
    require_known_type();
    const std::string destination = value_of({"dst", "destination", "target"}, "the path inside");
    if (!destination.starts_with('/')) throw fail("the path inside is not absolute");
    const bool is_bind = type_ == "bind";
    runner::Mount mount = is_bind
                              ? bind_mount(value_of({"src", "source"}, "the path on the host"), destination)
                              : tmpfs_mount(destination);
    for (const auto& [key, value] : words_)
      if (!take_common(mount, key, value) &&
          !(is_bind ? take_bind(mount, key, value) : take_tmpfs(mount, key, value)))
        throw fail(fmt::format("'{}' is not known of type {}", printable(key), type_));
    return mount;
  }

 private:
  struct Word {
    std::string key;
    std::optional<std::string> value;
  };

  Error fail(const std::string& why) const {
    return Error::make(Errc::invalid, "--mount '{}': {}", printable(text_), why).with_hint(kExample);
  }

  Error have_not(const std::string& what, const std::string& instead) const {
    return Error::make(Errc::unsupported, "--mount '{}': {}", printable(text_), what).with_hint(instead);
  }

  /// Takes the word away; the last of several counts.
  std::optional<std::string> take(std::initializer_list<std::string_view> keys) {
    std::optional<std::string> value;
    std::erase_if(words_, [&](const Word& word) {
      if (std::ranges::find(keys, word.key) == keys.end()) return false;
      value = word.value.value_or("");
      return true;
    });
    return value;
  }

  std::string value_of(std::initializer_list<std::string_view> keys, const char* what) {
    const auto value = take(keys);
    if (!value || value->empty()) throw fail(fmt::format("{} is missing: {}=…", what, *keys.begin()));
    return *value;
  }

  void require_known_type() {
    const auto type = take({"type"});
    if (!type) throw fail("the type is missing: type=bind or type=tmpfs");
    type_ = *type;
    if (type_ == "bind" || type_ == "tmpfs") return;
    if (type_ == "volume")
      throw have_not("named volumes are not supported", "give a folder: type=bind,src=./data,dst=/inside");
    if (type_ == "image")
      throw have_not("images cannot be mounted into a container",
                     "unpack it with 'lay export', then type=bind,src=./folder,dst=/inside");
    throw have_not(fmt::format("there is no type '{}'", printable(type_)),
                   "type=bind for a path of the host, type=tmpfs for memory");
  }

  bool is_on(const std::string& key, const std::optional<std::string>& value) const {
    if (!value || *value == "true" || *value == "1") return true;
    if (*value == "false" || *value == "0") return false;
    throw fail(fmt::format("{} is true or false, not '{}'", key, printable(*value)));
  }

  bool take_common(runner::Mount& mount, const std::string& key,
                   const std::optional<std::string>& value) const {
    if (key == "ro" || key == "readonly" || key == "rw") {
      put_option(mount, is_on(key, value) == (key != "rw") ? "ro" : "rw");
    } else if (key == "U" || key == "chown") {
      throw have_not("the source's owner is not changed",
                     "chown it yourself, or share it with a user namespace by idmap");
    } else if (!value && is_attribute(key)) {
      put_option(mount, key);
    } else {
      return key == "consistency";  // is for other systems than Linux
    }
    return true;
  }

  bool take_bind(runner::Mount& mount, const std::string& key,
                 const std::optional<std::string>& value) const {
    if (key == "bind-propagation" || (!value && is_propagation_word(key))) {
      const std::string wanted = value.value_or(key);
      if (!is_propagation_word(wanted))
        throw fail(fmt::format("there is no propagation '{}'", printable(wanted)));
      refuse_shared(text_, "--mount", wanted);
      put_option(mount, wanted);
    } else if (key == "bind-nonrecursive") {
      put_option(mount, is_on(key, value) ? "bind" : "rbind");
    } else if (key == "bind-recursive" && (value == "enabled" || value == "disabled")) {
      put_option(mount, value == "disabled" ? "bind" : "rbind");
    } else if (key == "idmap" && !value) {
      put_option(mount, key);
    } else {  // lay's containers have no SELinux label
      const bool is_label = key == "relabel" && (value == "shared" || value == "private");
      return is_label || ((key == "z" || key == "Z") && !value);
    }
    return true;
  }

  bool take_tmpfs(runner::Mount& mount, const std::string& key,
                  const std::optional<std::string>& value) const {
    if (key == "tmpfs-size") {
      const auto bytes = parse_size(value.value_or(""));
      if (!bytes) throw fail(fmt::format("tmpfs-size '{}' is no size", printable(value.value_or(""))));
      mount.options.push_back(fmt::format("size={}", *bytes));
    } else if (key == "tmpfs-mode") {
      if (!parse_octal(value.value_or(""), 07777))
        throw fail(fmt::format("tmpfs-mode '{}' is no mode such as 1777", printable(value.value_or(""))));
      mount.options.push_back("mode=" + *value);
    } else if (key == "tmpcopyup" && !value) {
      mount.options.push_back(key);
    } else if (key == "src" || key == "source") {
      throw fail("a tmpfs has no source");
    } else {
      return key == "notmpcopyup" && !value;
    }
    return true;
  }

  const std::string& text_;
  std::vector<Word> words_;
  std::string type_;
};

bool is_mounted(const std::vector<runner::Mount>& mounts, const std::string& place) {
  return std::ranges::any_of(mounts, [&](const runner::Mount& mount) { return place_of(mount) == place; });
}

bool lies_in_one(const std::string& place, const std::vector<runner::Mount>& mounts) {
  return std::ranges::any_of(
      mounts, [&](const runner::Mount& mount) { return place.starts_with(place_of(mount) + "/"); });
}

void require_one_each(const std::vector<runner::Mount>& mounts) {
  std::vector<std::string> places;
  std::ranges::transform(mounts, std::back_inserter(places), place_of);
  std::ranges::sort(places);
  const auto twice = std::ranges::adjacent_find(places);
  if (twice == places.end()) return;
  throw Error::make(Errc::invalid, "'{}' is the place of two mounts", printable(*twice))
      .with_hint("leave out one of its -v, --mount or --tmpfs");
}

/// Before all that was asked for, but for what lies in that: where the image has a link, a tmpfs must not
/// cover what was put there through it.
void add_usual_tmpfs(std::vector<runner::Mount>& wanted, std::vector<runner::Mount>& first) {
  for (const char* path : kUsualTmpfs) {
    if (is_mounted(wanted, path)) continue;
    std::vector<runner::Mount>& mounts = lies_in_one(path, wanted) ? wanted : first;
    mounts.push_back(tmpfs_mount(path));
    put_option(mounts.back(), "exec");
    mounts.back().options.emplace_back("tmpcopyup");
    if (std::string_view(path).ends_with("/tmp")) mounts.back().options.emplace_back("mode=1777");
  }
}

/// The options that were asked for.
std::string asked_options(const runner::Mount& mount) {
  constexpr std::array<std::string_view, 5> kUsual{"rbind", "rprivate", "nosuid", "nodev", "noexec"};
  const std::size_t usual = mount.type == "tmpfs" ? kUsual.size() : kUsual.size() - 1;
  std::vector<std::string> options;
  for (const std::string& option : mount.options)
    if (std::find(kUsual.begin(), kUsual.begin() + usual, option) == kUsual.begin() + usual)
      options.push_back(option);
  return join(options, ",");
}

}  // namespace

void MountFlags::add_to(Parser& parser) {
  parser.add_list("-v,--volume", volumes, "bind a folder or file of the host", "HOST:INSIDE[:ro]");
  parser.add_list("--mount", mounts,
                  "the same in words: type=bind,src=HOST,dst=INSIDE,ro; or type=tmpfs,dst=", "KEY=VALUE,…");
  parser.add_list("--tmpfs", tmpfs, "a file system in memory", "PATH[:OPTIONS]");
  parser.add_flag("--read-only-tmpfs", has_read_only_tmpfs,
                  "with --read-only: /run, /tmp and /var/tmp can be written, in memory");
}

void MountFlags::apply(runner::Spec& spec) const {
  std::vector<runner::Mount> wanted;
  std::ranges::transform(tmpfs, std::back_inserter(wanted), parse_tmpfs);
  std::ranges::transform(volumes, std::back_inserter(wanted), parse_volume);
  std::ranges::transform(mounts, std::back_inserter(wanted), parse_mount);
  require_one_each(wanted);
  if (has_read_only_tmpfs && spec.root.readonly) add_usual_tmpfs(wanted, spec.mounts);
  std::ranges::stable_sort(wanted, {}, [](const runner::Mount& mount) {
    const std::string place = place_of(mount);
    return std::ranges::count(place, '/');
  });
  std::ranges::move(wanted, std::back_inserter(spec.mounts));
}

runner::Mount parse_volume(const std::string& text) {
  const std::vector<std::string> parts = split(text, ':');
  const auto fail = [&](const char* why) {
    return Error::make(Errc::invalid, "-v '{}': {}", printable(text), why)
        .with_hint("-v /host/folder:/inside[:ro]");
  };
  if (parts.size() < 2 || parts.size() > 3) throw fail("expected host:container[:ro]");
  if (parts[1].empty() || parts[1].front() != '/') throw fail("the path inside is not absolute");
  if (parts[0].empty()) throw fail("the path on the host is missing");
  if (parts[0].find('/') == std::string::npos && parts[0] != ".")
    throw fail("named volumes are not supported").with_hint("give a path: -v ./" + parts[0] + ":" + parts[1]);
  runner::Mount mount = bind_mount(parts[0], parts[1]);
  for (const std::string& option : parts.size() == 3 ? split(parts[2], ',') : std::vector<std::string>{}) {
    refuse_shared(text, "-v", option);
    if (is_mount_word(option))
      put_option(mount, option);
    else if (option != "z" && option != "Z")  // lay's containers have no SELinux label
      throw fail(
          "the option is none of ro, rw, idmap, z, Z, exec, suid, dev, bind, rslave and their contraries");
  }
  return mount;
}

runner::Mount parse_mount(const std::string& text) {
  return MountReader(text).read();
}

std::pair<std::string, std::string> mount_flag_of(const runner::Mount& mount) {
  const std::string options = asked_options(mount);
  const bool is_tmpfs = mount.type == "tmpfs";
  if ((mount.source + mount.destination).find(':') != std::string::npos)
    return {"mount", mount_words(mount, options)};
  const std::string places = is_tmpfs ? mount.destination : mount.source + ":" + mount.destination;
  return {is_tmpfs ? "tmpfs" : "volume", options.empty() ? places : places + ":" + options};
}

}  // namespace lay::cli
