#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <future>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/unique_fd.h"
#include "network/address.h"
#include "poll_until.h"
#include "process/process.h"
#include "runner/network.h"
#include "shell.h"
#include "temp_folder.h"

namespace lay::test {

inline UniqueFd network_of(const std::string& process) {
  return sys::open_at(sys::cwd(), "/proc/" + process + "/ns/net", O_RDONLY);
}

/// Puts the calling thread into a new network namespace that plays the host, and back at the end: nothing a
/// test does can be seen by the machine.
class HostNamespace {
 public:
  HostNamespace() : before_(network_of("thread-self")) {
    REQUIRE(::unshare(CLONE_NEWNET) == 0);
    runner::bring_loopback_up();
    self_ = network_of("thread-self");
  }
  ~HostNamespace() { runner::set_namespaces(before_, CLONE_NEWNET); }
  HostNamespace(const HostNamespace&) = delete;
  HostNamespace& operator=(const HostNamespace&) = delete;

  const UniqueFd& netns() const { return self_; }

 private:
  UniqueFd before_;
  UniqueFd self_;
};

/// Runs `body` in a thread inside `netns` and hands over what it returns or throws.
template <class Body>
auto inside(const UniqueFd& netns, Body&& body) {
  return std::async(std::launch::async,
                    [&] {
                      runner::set_namespaces(netns, CLONE_NEWNET);
                      return body();
                    })
      .get();
}

/// A process with a network namespace of its own that does nothing until it is killed.
class NetworkProcess {
 public:
  NetworkProcess() {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::dup2(writer.get(), 3);
      ::close_range(4, ~0U, 0);  // what a test holds, and may give up while this process lives
      if (::unshare(CLONE_NEWNET) == 0 && ::write(3, "x", 1) == 1) ::pause();
      ::_exit(1);
    }
    writer.reset();
    std::array<std::byte, 1> ready;
    REQUIRE(sys::read_some(reader, ready) == 1);
    netns_ = network_of(std::to_string(pid_));
  }
  ~NetworkProcess() { end(); }
  NetworkProcess(const NetworkProcess&) = delete;
  NetworkProcess& operator=(const NetworkProcess&) = delete;

  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
    netns_.reset();
  }
  pid_t pid() const { return pid_; }
  const UniqueFd& netns() const { return netns_; }

 private:
  pid_t pid_ = 0;
  UniqueFd netns_;
};

inline sockaddr_in socket_address(const std::string& ip, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(runner::parse_ipv4(ip).value().value);
  address.sin_port = htons(port);
  return address;
}

inline std::string address_text(const sockaddr_in& address) {
  return runner::to_string(runner::Ipv4{ntohl(address.sin_addr.s_addr)});
}

inline bool wait_readable(const UniqueFd& fd, int milliseconds) {
  pollfd entry{fd.get(), POLLIN, 0};
  return ::poll(&entry, 1, milliseconds) == 1;
}

/// A bound socket in `netns`; a listening one with SOCK_STREAM. With SO_REUSEADDR, as servers have it.
inline UniqueFd serve(const UniqueFd& netns, int type, const std::string& ip, std::uint16_t port) {
  return inside(netns, [&] {
    UniqueFd fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
    const sockaddr_in address = socket_address(ip, port);
    const int one = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ||
        (type == SOCK_STREAM && ::listen(fd.get(), 8) < 0))
      throw Error::from_errno("serve {}:{}", ip, port);
    return fd;
  });
}

/// Connects from `netns`; true when the other side has answered within the limit.
inline bool can_connect(const UniqueFd& netns, const std::string& ip, std::uint16_t port,
                        int milliseconds = 2000) {
  return inside(netns, [&] {
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const sockaddr_in address = socket_address(ip, port);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return true;
    pollfd entry{fd.get(), POLLOUT, 0};
    if (errno != EINPROGRESS || ::poll(&entry, 1, milliseconds) != 1) return false;
    int error = 0;
    socklen_t size = sizeof error;
    return ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
  });
}

/// The address of the next client that `server` sees; empty when none comes.
inline std::string accept_from(const UniqueFd& server) {
  if (!wait_readable(server, 2000)) return {};
  sockaddr_in address{};
  socklen_t size = sizeof address;
  const UniqueFd client(::accept4(server.get(), reinterpret_cast<sockaddr*>(&address), &size, SOCK_CLOEXEC));
  return client ? address_text(address) : std::string();
}

/// Sends a datagram from `netns`, lets `server` answer it, and says whom the server saw; empty unless the
/// answer came back from where the question went.
inline std::string exchange_datagrams(const UniqueFd& netns, const std::string& ip, std::uint16_t port,
                                      const UniqueFd& server, int milliseconds = 2000) {
  return inside(netns, [&]() -> std::string {
    const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = socket_address(ip, port);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) return {};
    if (::send(fd.get(), "ping", 4, 0) != 4 || !wait_readable(server, milliseconds)) return {};
    std::array<char, 8> text{};
    sockaddr_in client{};
    socklen_t size = sizeof client;
    ::recvfrom(server.get(), text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&client), &size);
    ::sendto(server.get(), "pong", 4, 0, reinterpret_cast<const sockaddr*>(&client), size);
    if (!wait_readable(fd, milliseconds) || ::recv(fd.get(), text.data(), text.size(), 0) != 4) return {};
    return address_text(client);
  });
}

/// A host of the test's own with RUN, and another machine beside it: 198.51.100.1 is the host, .2 the other.
struct TwoMachines {
  TempFolder folder;
  std::string run = folder.path() + "/run";
  HostNamespace host;
  NetworkProcess outside;

  TwoMachines() {
    in_host("ip link add up0 type veth peer name up1 netns " + std::to_string(outside.pid()));
    in_host("ip addr add 198.51.100.1/24 dev up0; ip link set up0 up");
    in_outside("ip addr add 198.51.100.2/24 dev up1; ip link set up1 up; ip link set lo up");
    // A link's carrier comes a moment later, and is among the traces.
    in_host("for i in $(seq 250); do ip -o link show up0 | grep -q 'state UP' && break; sleep 0.02; done");
  }

  std::string in_host(const std::string& command) const {
    const ShellResult result = shell(command);
    INFO(command << ": " << result.output);
    CHECK(result.status == 0);
    return result.output;
  }
  std::string in_outside(const std::string& command) const {
    return inside(outside.netns(), [&] { return shell(command).output; });
  }
  /// Links, addresses, rules and leases of the host, as text to compare.
  std::string traces() const {
    return shell(
               "ip -o link | sed 's/^[0-9]*: //; s/ qlen.*//'; ip -o -4 addr | sed 's/^[0-9]*: //'; "
               "nft list ruleset; ls " +
               run + "/leases 2>/dev/null")
        .output;
  }
};

/// A container as far as the network is concerned.
struct NetworkContainer {
  NetworkProcess process;
  std::optional<runner::BridgeAttachment> attachment;

  NetworkContainer(const std::string& run, const std::string& id,
                   const std::vector<std::string>& ports = {}) {
    runner::NetworkConfig config;
    for (const std::string& text : ports)
      for (const runner::PortMapping& port : runner::parse_port_mappings(text)) config.ports.push_back(port);
    attachment.emplace(runner::BridgeAttachment::reserve(run, id, config));
    attachment->connect(process.pid());
  }
  ~NetworkContainer() { end(); }
  /// As at the end of a container: its process first, then what it had.
  void end() {
    process.end();
    attachment.reset();
  }

  const UniqueFd& netns() const { return process.netns(); }
  const runner::Attachment& got() const { return attachment->attachment(); }
};

}  // namespace lay::test
