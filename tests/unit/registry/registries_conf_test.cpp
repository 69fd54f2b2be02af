#include "registry/registries_conf.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "error_of.h"
#include "temp_folder.h"
#include "variable.h"

using namespace lay::registry;
using lay::Errc;
using lay::test::error_of;

namespace {

RegistriesConf conf_of(const std::string& text) {
  RegistriesConf conf;
  merge_registries_conf(conf, text);
  return conf;
}

std::vector<std::string> sources_of(const RegistriesConf& conf, const std::string& name) {
  std::vector<std::string> names;
  for (const ImageSource& source : plan_sources(conf, parse_reference(name)))
    names.push_back(to_string(source.reference) + (source.insecure.value_or(false) ? " insecure" : ""));
  return names;
}

std::vector<std::string> meant_by(const RegistriesConf& conf, const std::string& name) {
  std::vector<std::string> names;
  for (const Reference& reference : resolve_name(conf, name)) names.push_back(to_string(reference));
  return names;
}

using Names = std::vector<std::string>;
const std::string kDigest = "sha256:" + std::string(64, 'a');

}  // namespace

TEST_CASE("without settings a name is asked for where it says", "[registry][conf]") {
  CHECK(sources_of({}, "h.io/a/b:1") == Names{"h.io/a/b:1"});
  CHECK(meant_by({}, "debian") == Names{"docker.io/library/debian:latest"});
}

TEST_CASE("mirrors come in order before the location, which only reads are sent to", "[registry][conf]") {
  const RegistriesConf conf = conf_of(R"(
[[registry]]
prefix = "docker.io"
location = "hub.example.com"
[[registry.mirror]]
location = "mirror.example.com:5000/hub"
insecure = true
[[registry.mirror]]
location = "digests.example.com"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "tags.example.com"
pull-from-mirror = "tag-only"
)");
  CHECK(sources_of(conf, "debian:12") == Names{"mirror.example.com:5000/hub/library/debian:12 insecure",
                                               "tags.example.com/library/debian:12",
                                               "hub.example.com/library/debian:12"});
  CHECK(sources_of(conf, "debian@" + kDigest) ==
        Names{"mirror.example.com:5000/hub/library/debian@" + kDigest + " insecure",
              "digests.example.com/library/debian@" + kDigest, "hub.example.com/library/debian@" + kDigest});
  CHECK(to_string(plan_target(conf, parse_reference("debian:12")).reference) ==
        "docker.io/library/debian:12");
  CHECK(sources_of(conf, "h.io/a:1") == Names{"h.io/a:1"});
}

TEST_CASE("the longest prefix wins, and prefixes end where names do", "[registry][conf]") {
  const RegistriesConf conf = conf_of(R"(
[[registry]]
location = "h.io"
insecure = true
[[registry]]
prefix = "h.io/team"
location = "other.io/moved"
[[registry]]
prefix = "*.sub.io"
blocked = true
)");
  CHECK(sources_of(conf, "h.io/a:1") == Names{"h.io/a:1 insecure"});
  CHECK(sources_of(conf, "h.io/team/a:1") == Names{"other.io/moved/a:1"});
  CHECK(sources_of(conf, "h.io/teams/a:1") == Names{"h.io/teams/a:1 insecure"});
  CHECK(sources_of(conf, "h.io:5000/a:1") == Names{"h.io:5000/a:1"});
  CHECK(sources_of(conf, "evil-h.io/a:1") == Names{"evil-h.io/a:1"});
  CHECK(error_of([&] { sources_of(conf, "a.b.sub.io/a"); }).code() == Errc::denied);
  CHECK(sources_of(conf, "sub.io/a:1") == Names{"sub.io/a:1"});
}

TEST_CASE("whether a registry is insecure is known only where somebody said so", "[registry][conf]") {
  const RegistriesConf conf =
      conf_of("[[registry]]\nlocation = \"a.io\"\ninsecure = false\n[[registry]]\nlocation = \"b.io\"");
  CHECK(plan_target(conf, parse_reference("a.io/x")).insecure == std::optional(false));
  CHECK(plan_target(conf, parse_reference("b.io/x")).insecure == std::nullopt);
}

TEST_CASE("the lists of the older form are the same settings", "[registry][conf]") {
  const RegistriesConf conf = conf_of(R"(
[registries.search]
registries = ["one.io", "two.io:5000"]
[registries.insecure]
registries = ["h.io/", "shut.io"]
[registries.block]
registries = ["shut.io"]
)");
  CHECK(meant_by(conf, "debian") == Names{"one.io/debian:latest", "two.io:5000/debian:latest"});
  CHECK(sources_of(conf, "h.io/a:1") == Names{"h.io/a:1 insecure"});
  CHECK(error_of([&] { sources_of(conf, "shut.io/a:1"); }).code() == Errc::denied);
}

TEST_CASE("short names lead to their alias, or to the search registries", "[registry][conf]") {
  RegistriesConf conf = conf_of(R"(
unqualified-search-registries = ["one.io", "two.io:5000"]
[aliases]
"fedora" = "registry.example.com/fedora"
"team/app" = "h.io/team/app"
)");
  CHECK(meant_by(conf, "fedora:40") == Names{"registry.example.com/fedora:40"});
  CHECK(meant_by(conf, "team/app@" + kDigest) == Names{"h.io/team/app@" + kDigest});
  CHECK(meant_by(conf, "debian") == Names{"one.io/debian:latest", "two.io:5000/debian:latest"});
  CHECK(meant_by(conf, "localhost/debian") == Names{"localhost/debian:latest"});
  merge_registries_conf(conf, "short-name-mode = \"enforcing\"");
  CHECK(error_of([&] { meant_by(conf, "debian"); }).hint() == "give the whole name: one.io/debian");
  merge_registries_conf(conf, "unqualified-search-registries = [\"one.io\"]\n[aliases]\n\"fedora\" = \"\"");
  CHECK(meant_by(conf, "debian") == Names{"one.io/debian:latest"});
  CHECK(meant_by(conf, "fedora") == Names{"one.io/fedora:latest"});
}

TEST_CASE("settings that cannot be understood are an error that names the line or the key",
          "[registry][conf]") {
  for (const auto& [text, named] : std::vector<std::pair<std::string, std::string>>{
           {"a = ", "line 1"},
           {"unqualified-search-registries = \"x\"", "unqualified-search-registries"},
           {"short-name-mode = \"x\"", "short-name-mode"},
           {"registries = 5", "registries"},
           {"[registries]\nblock = 5", "registries.block"},
           {"[registries.block]\nregistries = 5", "registries"},
           {"short-name-mode = \"disabled\"\n[registries.block]\nregistries = []", "older form"},
           {"[registry]\nlocation = \"x\"", "[[registry]]"},
           {"[[registry]]\nblocked = true", "neither prefix nor location"},
           {"[[registry]]\nlocation = \"http://h.io\"", "host[:port]"},
           {"[[registry]]\nlocation = \"h.io/../x\"", "h.io/../x"},
           {"[[registry]]\nlocation = \"h.io\"\ninsecure = \"yes\"", "insecure"}}) {
    CAPTURE(text);
    const lay::Error error = error_of([&, &text = text] { conf_of(text); });
    CHECK(error.code() == Errc::invalid);
    CHECK(error.message().find(named) != std::string::npos);
  }
}

TEST_CASE("without credential helpers the auth files are read, whether there is no list or an empty one",
          "[registry][conf]") {
  CHECK(conf_of("").credential_helpers == Names{"containers-auth.json"});
  CHECK(conf_of("credential-helpers = []").credential_helpers == Names{"containers-auth.json"});
  CHECK(conf_of("credential-helpers = ['one', 'containers-auth.json']").credential_helpers ==
        Names{"one", "containers-auth.json"});
}

TEST_CASE("a shared configuration is read once, and anew after a failure", "[registry][conf]") {
  const lay::test::TempFolder folder;
  const std::string path = folder.path() + "/registries.conf";
  const lay::test::Variable chosen("CONTAINERS_REGISTRIES_CONF", path);
  const SharedRegistriesConf conf;
  CHECK(error_of([&] { conf.get(); }).code() == Errc::not_found);
  std::ofstream(path) << "unqualified-search-registries = ['one.io']";
  const SharedRegistriesConf copy = conf;
  CHECK(conf.get().search == Names{"one.io"});
  std::ofstream(path) << "unqualified-search-registries = ['two.io']";
  CHECK(copy.get().search == Names{"one.io"});
}
