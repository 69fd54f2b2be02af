#include "registry/credentials.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdint>

#include "auth/auth_file.h"
#include "base/atomic_file.h"
#include "base/base64.h"
#include "base/syscalls.h"
#include "error_of.h"
#include "temp_folder.h"
#include "variable.h"

using lay::base64_decode;
using lay::base64_encode;
using lay::Errc;
using lay::registry::AuthFile;
using lay::registry::Credentials;
using lay::registry::CredentialStore;
using lay::registry::default_auth_files;
using lay::registry::normalise_key;
using lay::test::error_of;
using lay::test::TempFolder;
using lay::test::Variable;

namespace {

std::string entry(const std::string& user, const std::string& password) {
  return R"({"auth":")" + base64_encode(user + ":" + password) + "\"}";
}

std::string auths(const std::string& members) {
  return R"({"auths":{)" + members + "}}";
}

std::optional<Credentials> find_in(const std::string& text, const std::string& domain,
                                   const std::string& repository) {
  return AuthFile(text, AuthFile::Format::config).find(domain, repository);
}

std::string user_in(const std::string& text, const std::string& domain,
                    const std::string& repository = "a/b") {
  const auto found = find_in(text, domain, repository);
  return found ? found->username : "";
}

/// An environment in which every auth file lies in one folder.
struct Home {
  TempFolder folder;
  Variable authfile{"REGISTRY_AUTH_FILE", ""};
  Variable runtime{"XDG_RUNTIME_DIR", folder.path() + "/run"};
  Variable config{"XDG_CONFIG_HOME", ""};
  Variable docker{"DOCKER_CONFIG", ""};
  Variable home{"HOME", folder.path()};

  void write(const std::string& path, const std::string& text) const {
    for (std::size_t end = path.find('/'); end != std::string::npos; end = path.find('/', end + 1))
      lay::sys::try_mkdir_at(folder.fd(), path.substr(0, end), 0755);
    const lay::UniqueFd file = lay::sys::open_at(folder.fd(), path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    lay::sys::write_all(file, text);
  }
};

std::string read_text(const std::string& path) {
  return lay::sys::read_all(lay::sys::open_at(lay::sys::cwd(), path, O_RDONLY), 1 << 20);
}

}  // namespace

TEST_CASE("base64 is written and read with padding", "[registry][credentials]") {
  for (const auto& [plain, coded] : std::vector<std::pair<std::string, std::string>>{
           {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"\xff\xfe\xfd", "//79"}}) {
    CHECK(base64_encode(plain) == coded);
    CHECK(base64_decode(coded) == plain);
  }
  CHECK(base64_decode("Zg") == "f");
  for (const char* bad : {"Z", "Zg=", "Z===", "Zm9v\n", "Zm 9", "=", "Zg==Zg==", "_w=="})
    CHECK_FALSE(base64_decode(bad));
}

TEST_CASE("the most specific key of a host is taken", "[registry][credentials]") {
  const std::string file = auths("\"h.io\":" + entry("host", "p") + ",\"h.io/a\":" + entry("space", "p") +
                                 ",\"h.io/a/b\":" + entry("repository", "p"));
  CHECK(user_in(file, "h.io", "a/b") == "repository");
  CHECK(user_in(file, "h.io", "a/b/c") == "repository");
  CHECK(user_in(file, "h.io", "a/c") == "space");
  CHECK(user_in(file, "h.io", "ab/c") == "host");
  CHECK(user_in(file, "h.io", "") == "host");
}

TEST_CASE("R11: credentials are found for exactly the host they were given to", "[registry][credentials]") {
  const std::string file = auths("\"reg.io\":" + entry("u", "p"));
  CHECK(user_in(file, "reg.io") == "u");
  for (const char* other : {"evil-reg.io", "reg.io.evil", "reg.io:5000", "sub.reg.io", "reg.i", "REG.io"})
    CHECK(user_in(file, other).empty());
  CHECK(user_in(auths("\"localhost:5000\":" + entry("u", "p")), "localhost:5001").empty());
}

TEST_CASE("docker's key of the Hub and keys with a scheme are understood", "[registry][credentials]") {
  for (const char* key :
       {"https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io"})
    CHECK(user_in(auths("\"" + std::string(key) + "\":" + entry("u", "p")), "docker.io") == "u");
  CHECK(normalise_key("https://reg.io/v1/") == "reg.io");
  CHECK(normalise_key("http://reg.io:80") == "reg.io:80");
  CHECK(normalise_key("docker.io/team") == "docker.io/team");
  CHECK(normalise_key("reg.io:80/") == "reg.io:80");
  CHECK(normalise_key("reg.io/team//") == "reg.io/team");
  CHECK(normalise_key("index.docker.io/") == "docker.io");
}

TEST_CASE("passwords keep their colons, identity tokens are read", "[registry][credentials]") {
  CHECK(find_in(auths("\"h.io\":" + entry("u", "a:b:c")), "h.io", "")->password == "a:b:c");
  CHECK(find_in(auths("\"h.io\":" + entry("u", std::string("p\0\0", 3))), "h.io", "")->password == "p");
  const auto token = find_in(auths(R"("h.io":{"auth":"PHRva2VuPjo=","identitytoken":"T"})"), "h.io", "");
  CHECK(token == Credentials{.identity_token = "T"});
}

TEST_CASE("R12: an entry that cannot be used is an error that shows nothing of it",
          "[registry][credentials]") {
  for (const char* bad : {R"({"auth":"secret!"})", R"({"auth":"c2VjcmV0"})", R"({"auth":5})", R"("secret")",
                          R"({"registrytoken":"secret"})"}) {
    CAPTURE(bad);
    const lay::Error error = error_of([&] { find_in(auths("\"h.io\":" + std::string(bad)), "h.io", ""); });
    CHECK(error.message().find("secret") == std::string::npos);
  }
  for (const char* bad : {"secret", "[]", R"({"auths":[]})", R"({"auths":"secret"})"})
    CHECK(error_of([&] { find_in(bad, "h.io", ""); }).message().find("secret") == std::string::npos);
}

namespace {

/// docker-credential-test in a folder that is the PATH's first: notes what it is asked, answers with
/// `answer`.
struct Helper {
  const Home& home;
  Variable path;

  Helper(const Home& at, const std::string& script)
      : home(at), path("PATH", at.folder.path() + "/bin:" + std::string(::getenv("PATH"))) {
    home.write("bin/docker-credential-test",
               "#!/bin/sh\ncd " + home.folder.path() + "\necho \"$@\" >>asked\ncat >input\n" + script + "\n");
    ::chmod((home.folder.path() + "/bin/docker-credential-test").c_str(), 0755);
  }
  std::string input() const { return read_text(home.folder.path() + "/input"); }
  std::string asked() const { return read_text(home.folder.path() + "/asked"); }
};

constexpr const char* kAnswer = R"(echo '{"ServerURL":"x","Username":"u","Secret":"s3cret"}')";

}  // namespace

TEST_CASE("R11: a helper of one host is asked for that host alone", "[registry][credentials]") {
  const Home home;
  const Helper helper(home, kAnswer);
  home.write("file", R"({"credHelpers":{"h.io":"test"},"auths":{"o.io":{"auth":"dTpw"}}})");
  const CredentialStore store(home.folder.path() + "/file");
  CHECK(store.find("o.io", "a")->password == "p");
  CHECK_FALSE(store.find("evil-h.io", "a").has_value());
  CHECK(store.find("h.io", "a") == Credentials{.username = "u", .password = "s3cret"});
  CHECK(helper.input() == "h.io");
  CHECK(helper.asked() == "get\n");
}

TEST_CASE("a helper ignores no signal that lay ignores for itself", "[registry][credentials]") {
  const Home home;
  const Helper helper(home, "sed -n 's/^SigIgn:\t//p' /proc/$$/status >ignored\n" + std::string(kAnswer));
  home.write("file", R"({"credHelpers":{"h.io":"test"}})");
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  const auto found = CredentialStore(home.folder.path() + "/file").find("h.io", "a");
  std::signal(SIGXFSZ, before);
  CHECK(found);
  const std::uint64_t ignored = std::stoull(read_text(home.folder.path() + "/ignored"), nullptr, 16);
  CHECK((ignored & std::uint64_t{1} << (SIGXFSZ - 1)) == 0);
}

TEST_CASE("the store of all logins is asked after the file's own entries", "[registry][credentials]") {
  const Home home;
  const Helper helper(home, kAnswer);
  home.write("file", R"({"credsStore":"test","auths":{"h.io":{},"o.io":{"auth":"dTpw"}}})");
  const CredentialStore store(home.folder.path() + "/file");
  CHECK(store.find("o.io", "a")->password == "p");
  CHECK(store.find("h.io", "a")->password == "s3cret");
  CHECK(store.find("docker.io", "a").has_value());
  CHECK(helper.input() == "https://index.docker.io/v1/");
}

TEST_CASE("a helper's identity token and its \"not found\" are understood", "[registry][credentials]") {
  const Home home;
  home.write("file", R"({"credsStore":"test"})");
  const CredentialStore store(home.folder.path() + "/file");
  {
    const Helper helper(home, R"(echo '{"Username":"<token>","Secret":"T"}')");
    CHECK(store.find("h.io", "a") == Credentials{.identity_token = "T"});
  }
  const Helper helper(home, "echo 'credentials not found in native keychain'; exit 1");
  CHECK_FALSE(store.find("h.io", "a").has_value());
}

TEST_CASE("R11: a helper that is missing, fails or talks nonsense ends the search, and shows no secret",
          "[registry][credentials]") {
  const Home home;
  home.write("file", R"({"credsStore":"test"})");
  const CredentialStore store(home.folder.path() + "/file");
  CHECK(error_of([&] { store.find("h.io", "a"); }).code() == lay::Errc::unavailable);
  for (const char* script :
       {"echo s3cret; exit 1", "echo s3cret", R"(echo '{"Secret":"s3cret"}')", "kill -9 $$"}) {
    CAPTURE(script);
    const Helper helper(home, script);
    const lay::Error error = error_of([&] { store.find("h.io", "a"); });
    CHECK(error.code() == lay::Errc::unavailable);
    CHECK(error.message().find("s3cret") == std::string::npos);
  }
  home.write("file", R"({"credsStore":"../../bin/sh"})");
  CHECK(error_of([&] { store.find("h.io", "a"); }).code() == lay::Errc::invalid);
}

TEST_CASE("where a helper keeps the logins it is given new ones and told to forget",
          "[registry][credentials]") {
  const Home home;
  const Helper helper(home, "true");
  home.write("file", R"({"credsStore":"test"})");
  const CredentialStore store(home.folder.path() + "/file");
  store.save("h.io", {.username = "u", .password = "p"});
  CHECK(lay::parse_json(helper.input(), "input") ==
        lay::Json{{"ServerURL", "h.io"}, {"Username", "u"}, {"Secret", "p"}});
  CHECK(store.erase("h.io"));
  CHECK(helper.asked() == "store\nerase\n");
  CHECK(read_text(home.folder.path() + "/file") == R"({"credsStore":"test"})");
}

TEST_CASE("the auth files are read in podman's order, docker's after it", "[registry][credentials]") {
  const Home home;
  const std::string at = home.folder.path();
  CHECK(default_auth_files() == std::vector<std::string>{at + "/run/containers/auth.json",
                                                         at + "/.config/containers/auth.json",
                                                         at + "/.docker/config.json", at + "/.dockercfg"});
  const auto user = [] {
    const auto found = CredentialStore().find("h.io", "a");
    return found ? found->username : "";
  };
  CHECK(user().empty());
  home.write(".dockercfg", "{\"h.io\":" + entry("legacy", "p") + "}");
  CHECK(user() == "legacy");
  home.write(".docker/config.json", auths("\"h.io\":" + entry("docker", "p")));
  CHECK(user() == "docker");
  home.write(".config/containers/auth.json", auths("\"h.io\":" + entry("config", "p")));
  CHECK(user() == "config");
  home.write("run/containers/auth.json", auths("\"h.io\":" + entry("run", "p")));
  CHECK(user() == "run");
  home.write("chosen", auths("\"h.io\":" + entry("chosen", "p")));
  const Variable authfile("REGISTRY_AUTH_FILE", at + "/chosen");
  CHECK(user() == "chosen");
  CHECK(CredentialStore(at + "/run/containers/auth.json").find("h.io", "")->username == "run");
}

TEST_CASE("DOCKER_CONFIG, XDG_CONFIG_HOME and the user's run folder move the files",
          "[registry][credentials]") {
  const Home home;
  const Variable docker("DOCKER_CONFIG", "/d");
  const Variable config("XDG_CONFIG_HOME", "/c");
  const Variable runtime("XDG_RUNTIME_DIR", "");
  CHECK(default_auth_files() ==
        std::vector<std::string>{"/run/containers/" + std::to_string(::getuid()) + "/auth.json",
                                 "/c/containers/auth.json", "/d/config.json",
                                 home.folder.path() + "/.dockercfg"});
}

TEST_CASE("R11: an unreadable auth file stops the search instead of falling back",
          "[registry][credentials]") {
  const Home home;
  home.write(".docker/config.json", auths("\"h.io\":" + entry("docker", "p")));
  home.write("run/containers/auth.json", "{ not json");
  const lay::Error error = error_of([] { CredentialStore().find("h.io", "a"); });
  CHECK(error.code() == Errc::invalid);
  CHECK(error.message().find("run/containers/auth.json") != std::string::npos);
}

TEST_CASE("R12: saved credentials are found again and only the user can read the file",
          "[registry][credentials]") {
  const Home home;
  const std::string path = home.folder.path() + "/run/containers/auth.json";
  const CredentialStore store;
  store.save("h.io", {.username = "u", .password = "p:w"});
  store.save("docker.io", {.identity_token = "T"});
  CHECK(store.find("h.io", "x") == Credentials{.username = "u", .password = "p:w"});
  CHECK(store.find("docker.io", "library/debian") == Credentials{.identity_token = "T"});
  CHECK((lay::sys::stat_at(lay::sys::cwd(), path).st_mode & 07777) == 0600);

  CHECK(store.erase("h.io"));
  CHECK_FALSE(store.erase("h.io"));
  CHECK_FALSE(store.find("h.io", "x").has_value());
  CHECK(store.find("docker.io", "x").has_value());
}

TEST_CASE("saving keeps what else is in the file and replaces other spellings of the host",
          "[registry][credentials]") {
  const Home home;
  const std::string path = home.folder.path() + "/.docker/config.json";
  home.write(".docker/config.json",
             R"({"HttpHeaders":{"X":"y"},"auths":{"https://index.docker.io/v1/":{"auth":"bzpw"},
      "https://h.io":{"auth":"bzpw"},"h.io/team":{"auth":"dDpw"}}})");
  const CredentialStore store(path);
  store.save("h.io", {.username = "u", .password = "p"});
  store.save("docker.io", {.username = "d", .password = "p"});
  const lay::Json json = lay::parse_json(read_text(path), "file");
  CHECK(json["HttpHeaders"]["X"] == "y");
  CHECK(json["auths"].size() == 3);
  CHECK(json["auths"].contains("https://index.docker.io/v1/"));
  CHECK(store.find("h.io", "team/a")->username == "t");
  CHECK(store.find("h.io", "b")->username == "u");
}

TEST_CASE("R12: saving replaces a symlink instead of writing through it", "[registry][credentials]") {
  const Home home;
  home.write("victim", "{}");
  lay::sys::symlink_at("victim", home.folder.fd(), "link");
  CredentialStore(home.folder.path() + "/link").save("h.io", {.username = "u", .password = "p"});
  CHECK(read_text(home.folder.path() + "/victim") == "{}");
  CHECK(S_ISREG(lay::sys::stat_at(home.folder.fd(), "link").st_mode));
}
