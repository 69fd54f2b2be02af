#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>

#include "error_of.h"
#include "in_child.h"
#include "security/landlock.h"
#include "skip.h"

using namespace lay;
using namespace lay::runner;
using lay::test::ChildResult;
using lay::test::in_child;

namespace {

/// Runs `body` in a child under the rules.
ChildResult under(const char* rules, const std::function<std::string()>& body) {
  return in_child(0, [&] {
    const UniqueFd ruleset = make_landlock_ruleset(parse_landlock(rules));
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return std::string("no_new_privs failed");
    enter_landlock(ruleset);
    return body();
  });
}

std::string word(int result) {
  return result >= 0 ? "ok " : std::string(::strerrorname_np(errno)) + " ";
}

std::string open_for(const char* path, int flags) {
  const UniqueFd fd(::open(path, flags | O_CLOEXEC, 0600));
  return word(fd ? 0 : -1);
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

template <class Call>
std::string on_port(Call call, int port) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(port);
  return word(call(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address));
}

constexpr int kAbiOfEverything = 6;

}  // namespace

TEST_CASE("landlock: only the paths that are named can be read and written", "[runner][landlock]") {
  if (landlock_abi() < kAbiOfEverything) SKIP_TEST("this kernel's landlock is too old");
  const ChildResult result = under("ro=/etc/passwd,/usr,rw=/dev/shm", [] {
    std::string text = open_for("/etc/passwd", O_RDONLY);
    text += open_for("/etc/passwd", O_WRONLY);
    text += open_for("/etc/group", O_RDONLY);
    text += open_for("/usr", O_RDONLY | O_DIRECTORY);
    text += open_for("/dev/shm/lay-landlock", O_WRONLY | O_CREAT);
    text += word(::unlink("/dev/shm/lay-landlock"));
    text += open_for("/tmp/lay-landlock", O_WRONLY | O_CREAT);
    return text + word(::truncate("/etc/passwd", 0));
  });
  CHECK(result.error == "");
  CHECK(result.text == "ok EACCES EACCES ok ok ok EACCES EACCES ");
}

TEST_CASE("landlock: only the ports that are named can be bound and connected to", "[runner][landlock]") {
  if (landlock_abi() < kAbiOfEverything) SKIP_TEST("this kernel's landlock is too old");
  const ChildResult both = under("bind=47113,connect=47115", [] {
    return on_port(::bind, 47113) + on_port(::bind, 47114) + on_port(::connect, 47115) +
           on_port(::connect, 47116) + open_for("/etc/passwd", O_RDONLY);
  });
  CHECK(both.text == "ok EACCES ECONNREFUSED EACCES ok ");
  const ChildResult none =
      under("connect=none", [] { return on_port(::bind, 47113) + on_port(::connect, 47115); });
  CHECK(none.text == "ok EACCES ");
}

TEST_CASE("N01: landlock: scopes shut abstract sockets and signals of others out", "[runner][landlock]") {
  if (landlock_abi() < kAbiOfEverything) SKIP_TEST("this kernel's landlock is too old");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = "lay-landlock-" + std::to_string(::getpid());
  std::memcpy(&address.sun_path[1], name.data(), name.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0);
  REQUIRE(::listen(listener.get(), 4) == 0);
  const auto attempt = [&] {
    const UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return word(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), length)) +
           word(::kill(::getppid(), 0));
  };
  CHECK(under("scope=abstract", attempt).text == "EPERM ok ");
  CHECK(under("scope=signal", attempt).text == "ok EPERM ");
  CHECK(under("scope=abstract,signal", attempt).text == "EPERM EPERM ");
}

TEST_CASE("landlock: a path that is not there is an error", "[runner][landlock]") {
  if (landlock_abi() < kAbiOfEverything) SKIP_TEST("this kernel's landlock is too old");
  const Error error = lay::test::error_of([] { make_landlock_ruleset(parse_landlock("ro=/nosuch")); });
  CHECK(error.code() == Errc::not_found);
  CHECK(error.message() == "landlock: '/nosuch' is not in the container");
}
