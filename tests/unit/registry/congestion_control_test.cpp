#include "http/congestion_control.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <array>
#include <catch2/catch.hpp>
#include <string>

#include "base/unique_fd.h"
#include "server/http/listener.h"

using lay::UniqueFd;

namespace {

std::string congestion_control_of(const UniqueFd& socket) {
  std::array<char, 16> name{};
  socklen_t size = name.size();
  REQUIRE(::getsockopt(socket.get(), IPPROTO_TCP, TCP_CONGESTION, name.data(), &size) == 0);
  return name.data();
}

std::string default_congestion_control() {
  return congestion_control_of(UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
}

/// What a new connection to `address` is sent by, where the system's choice is not Reno.
std::string chosen_for(const char* address) {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in peer{.sin_family = AF_INET, .sin_port = htons(80)};
  REQUIRE(::inet_pton(AF_INET, address, &peer.sin_addr) == 1);
  lay::registry::choose_congestion_control(socket.get(), reinterpret_cast<const sockaddr&>(peer));
  return congestion_control_of(socket);
}

}  // namespace

TEST_CASE("connections within the machine are not paced, others are left as they are", "[congestion]") {
  const std::string before = default_congestion_control();
  CHECK(chosen_for("127.0.0.1") == "reno");
  CHECK(chosen_for("127.9.9.9") == "reno");
  CHECK(chosen_for("192.0.2.1") == before);
}

TEST_CASE("connections to a server are not paced from their beginning", "[congestion]") {
  for (const char* address : {"127.0.0.1", "0.0.0.0", "::"}) {
    const auto listener = lay::registry::server::listen_on({.address = address, .port = 0});
    CHECK(congestion_control_of(listener.socket) == "reno");
    CHECK(listener.system_control == default_congestion_control());
  }
}

TEST_CASE("a connection that was accepted from another machine gets the system's choice", "[congestion]") {
  const std::string systems = default_congestion_control();
  const auto listener = lay::registry::server::listen_on({.address = "0.0.0.0", .port = 0});
  const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in server{.sin_family = AF_INET, .sin_port = htons(listener.port)};
  REQUIRE(::inet_pton(AF_INET, "127.0.0.1", &server.sin_addr) == 1);
  REQUIRE(::connect(client.get(), reinterpret_cast<const sockaddr*>(&server), sizeof server) == 0);
  const auto control_for = [&](const char* from) {
    lay::registry::begin_unpaced(client.get());
    sockaddr_in peer{.sin_family = AF_INET, .sin_port = htons(40000)};
    REQUIRE(::inet_pton(AF_INET, from, &peer.sin_addr) == 1);
    lay::registry::give_back_congestion_control(client.get(), reinterpret_cast<const sockaddr&>(peer),
                                                systems);
    return congestion_control_of(client);
  };
  CHECK(control_for("192.0.2.1") == systems);
  CHECK(control_for("127.0.0.1") == "reno");
  CHECK(control_for("127.0.0.9") == "reno");
}
