#include "process/handshake.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "base/json.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "process/fd_message.h"

namespace lay::runner {

namespace {

/// A message is one packet: its kind, then what belongs to it.
constexpr char kGo = 'g';
constexpr char kDescriptor = 'd';
constexpr char kError = 'e';
constexpr char kNote = 'n';
constexpr char kStage = 's';
constexpr char kExecuted = 'x';
constexpr std::size_t kMaxMessage = 8 * 1024;
constexpr std::size_t kMaxNotes = 64;
constexpr int kPatience = 2000;  // milliseconds

/// By either call: the child's own seccomp profile may deny one.
void send_message(const UniqueFd& socket, std::string_view text) {
  const auto send = [&] { return ::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL); };
  const auto write = [&] { return ::write(socket.get(), text.data(), text.size()); };
  if (sys::retry_eintr(send) >= 0) return;
  if (errno == EPIPE || errno == ECONNRESET || sys::retry_eintr(write) < 0)
    throw Error::from_errno("send to the other side of the container's start");
}

Message receive(const UniqueFd& socket) {
  return receive_message(socket, kMaxMessage);
}

std::string encode(const Error& error) {
  const Json json{{"code", static_cast<int>(error.code())},
                  {"errno", error.error_number()},
                  {"message", error.message()},
                  {"hint", error.hint()}};
  return kError + json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

[[noreturn]] void throw_decoded(std::string_view text) {
  const Json json = parse_json(text, "the child's error");
  // A process of the container may have taken the child's place
  Error error(static_cast<Errc>(json_int(json, "code")), printable(json_string(json, "message")),
              static_cast<int>(json_int(json, "errno")));
  error.with_hint(printable(json_string(json, "hint")));
  throw error;
}

/// Throws what the child reported, if it did.
void check(const Message& message) {
  if (message.text.starts_with(kError)) throw_decoded(std::string_view(message.text).substr(1));
}

}  // namespace

void ChildEnd::report_stage() const {
  send_message(socket_, std::string_view(&kStage, 1));
}

void ChildEnd::send_descriptor(const UniqueFd& fd) const {
  send_fd(socket_, std::string_view(&kDescriptor, 1), fd);
}

void ChildEnd::wait_for_parent() const {
  if (!hears_parent()) ::_exit(1);
}

bool ChildEnd::hears_parent() const {
  return !receive(socket_).text.empty();
}

std::optional<std::vector<UniqueFd>> ChildEnd::take_over() const {
  Message message = receive(socket_);
  if (message.text.empty()) return std::nullopt;
  return std::move(message.fds);
}

void ChildEnd::check_parent() const {
  char byte = 0;
  if (::recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) ::_exit(1);
}

void ChildEnd::close_others(unsigned preserved, std::vector<int> kept) const {
  kept.push_back(socket_.get());
  std::ranges::sort(kept);
  const auto close_range = [](unsigned first, unsigned last) {
    if (first <= last && ::syscall(SYS_close_range, first, last, 0) < 0)
      throw Error::from_errno("close all other descriptors");
  };
  unsigned first = 3 + preserved;
  for (const int fd : kept) {
    if (fd < static_cast<int>(first)) continue;
    close_range(first, static_cast<unsigned>(fd) - 1);
    first = static_cast<unsigned>(fd) + 1;
  }
  close_range(first, ~0U);
}

void ChildEnd::send_error(const Error& error) const noexcept {
  try {
    send_message(socket_, encode(error).substr(0, kMaxMessage));
  } catch (...) {
    // The parent is gone, and with it whoever could be told.
  }
}

void ChildEnd::send_note(const std::string& note) const {
  send_message(socket_, (kNote + note).substr(0, kMaxMessage));
}

void ChildEnd::report_executed() const noexcept {
  try {
    send_message(socket_, std::string_view(&kExecuted, 1));
  } catch (...) {
    // Whoever waited is gone; the command goes on.
  }
}

void ParentEnd::await_message() const {
  if (signals_ == nullptr) return;
  std::array<pollfd, 2> entries{pollfd{.fd = socket_.get(), .events = POLLIN, .revents = 0},
                                pollfd{.fd = signals_->get(), .events = POLLIN, .revents = 0}};
  const auto wait = [&](nfds_t count, int milliseconds) {
    if (sys::retry_eintr([&] { return ::poll(entries.data(), count, milliseconds); }) < 0)
      throw Error::from_errno("wait for the container's process");
    return entries[0].revents != 0;
  };
  if (!wait(entries.size(), -1) && !wait(1, kPatience))
    throw Error(Errc::cancelled, "stopped by a signal, and the command had not been executed yet")
        .with_hint("a process of the container may have stopped it");
}

void ParentEnd::wait_for_stage() const {
  const Message message = receive(socket_);
  check(message);
  if (message.text.empty()) throw Error(Errc::io, "the container's process ended while it was made");
}

UniqueFd ParentEnd::receive_descriptor() const {
  await_message();
  Message message = receive(socket_);
  check(message);
  if (message.fds.empty())
    throw Error(Errc::io, "the container's process ended before it had made what was waited for");
  return std::move(message.fds.front());
}

void ParentEnd::let_go() const {
  hand_over({});
}

void ParentEnd::throw_reported() const {
  pollfd entry{.fd = socket_.get(), .events = POLLIN, .revents = 0};
  while (sys::retry_eintr([&] { return ::poll(&entry, 1, 0); }) > 0) {
    const Message message = receive(socket_);
    check(message);
    if (message.text.empty()) return;  // it has ended without a word, or executes its command
  }
}

void ParentEnd::turn_away() const {
  ::shutdown(socket_.get(), SHUT_WR);
}

void ParentEnd::hand_over(std::span<const UniqueFd> fds) const {
  try {
    send_fds(socket_, std::string_view(&kGo, 1), fds);
  } catch (Error& error) {
    // A child that has failed already is heard by wait_for_exec().
    if (error.error_number() == EPIPE || error.error_number() == ECONNRESET) return;
    error.add_context("let the container's process go on");
    throw;
  }
}

std::vector<std::string> ParentEnd::wait_for_exec() const {
  return take_notes().notes;
}

std::vector<std::string> ParentEnd::wait_for_report() const {
  Notes taken = take_notes();
  if (taken.end.starts_with(kExecuted)) return std::move(taken.notes);
  throw Error(Errc::io, "the process in the background ended before it could execute the command");
}

ParentEnd::Notes ParentEnd::take_notes() const {
  std::vector<std::string> notes;
  while (true) {
    await_message();
    Message message = receive(socket_);
    check(message);
    if (!message.text.starts_with(kNote)) return {std::move(notes), std::move(message.text)};
    if (notes.size() == kMaxNotes) throw Error(Errc::invalid, "the container's process says too much");
    notes.push_back(printable(std::string_view(message.text).substr(1)));
  }
}

Handshake make_handshake() {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) < 0)
    throw Error::from_errno("make a pair of sockets");
  return {ParentEnd(UniqueFd{fds[0]}), ChildEnd(UniqueFd{fds[1]})};
}

}  // namespace lay::runner
