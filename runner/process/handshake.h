#pragma once

#include <unistd.h>

#include <exception>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"

/// What parent and child tell each other between clone and exec, over a pair of sockets that exec closes: the
/// child's console and its failure in one direction, "go on" in the other. A parent
/// that is gone ends the child.
namespace lay::runner {

/// The child's end.
class ChildEnd {
 public:
  explicit ChildEnd(UniqueFd socket) : socket_(std::move(socket)) {}

  /// Tells the parent that all before its next step is done (ParentEnd::wait_for_stage()).
  void report_stage() const;
  /// Hands a descriptor to the parent: the master of the container's pty.
  void send_descriptor(const UniqueFd& fd) const;
  /// Waits until the parent has put this process where it belongs. Ends the process when the parent is gone.
  void wait_for_parent() const;
  /// As wait_for_parent(); false when the parent is gone.
  bool hears_parent() const;
  /// As hears_parent(), with the descriptors that hand_over() gave; empty when the parent is gone.
  std::optional<std::vector<UniqueFd>> take_over() const;
  /// Ends the process when the parent is gone: PR_SET_PDEATHSIG is not sent for a parent
  /// that died before it was set.
  void check_parent() const;
  /// Closes every other descriptor from 3 on but the first `preserved` of them and those of `kept` (-1:
  /// none), and this one at execve(2).
  void close_others(unsigned preserved = 0, std::vector<int> kept = {}) const;
  int get() const { return socket_.get(); }
  /// Everything of `error` but its place in the code. Never throws: there is nobody left to catch.
  void send_error(const Error& error) const noexcept;
  /// A remark for the user that does not keep the container from starting; after it comes exec or an error.
  void send_note(const std::string& note) const;
  /// For ParentEnd::wait_for_report(). Unlike the end of the socket a message wakes the other on this
  /// processor, as soon as this one is done: sooner than behind the command, with which another is busy.
  void report_executed() const noexcept;

 private:
  UniqueFd socket_;
};

/// The life of a child: `steps` end in execve. What fails is sent to the parent, and the process ends with
/// code 1.
template <class Steps>
[[noreturn]] void run_child(const ChildEnd& parent, const Steps& steps) noexcept {
  try {
    steps();
  } catch (const Error& error) {
    parent.send_error(error);
  } catch (const std::exception& error) {
    parent.send_error(Error(Errc::io, error.what()));
  }
  ::_exit(1);
}

/// The parent's end.
class ParentEnd {
 public:
  explicit ParentEnd(UniqueFd socket) : socket_(std::move(socket)) {}

  /// From here on whoever waits for a child that others can hold up gives it two seconds more when `signals`
  /// (a signalfd, which must outlive this and is not read) has one, and then throws cancelled.
  void heed(const UniqueFd& signals) { signals_ = &signals; }

  /// Waits for report_stage(); throws the child's error.
  void wait_for_stage() const;
  /// Waits for send_descriptor(); throws the child's error.
  UniqueFd receive_descriptor() const;
  void let_go() const;
  /// Throws the error of a child that has failed already; does not wait for one.
  void throw_reported() const;
  /// The child is told that it is not let go.
  void turn_away() const;
  /// As let_go(), with descriptors, if there are any.
  void hand_over(std::span<const UniqueFd> fds) const;
  /// Returns the child's notes when it has executed its command; throws the child's error.
  std::vector<std::string> wait_for_exec() const;
  /// As wait_for_exec(), of a child that executes the command in a child of its own, and says so by
  /// report_executed(). Throws io when it ends without.
  std::vector<std::string> wait_for_report() const;

 private:
  struct Notes {
    std::vector<std::string> notes;
    std::string end;  ///< the message after them; empty: the socket's end
  };
  Notes take_notes() const;
  void await_message() const;

  UniqueFd socket_;
  const UniqueFd* signals_ = nullptr;
};

struct Handshake {
  ParentEnd parent;
  ChildEnd child;
};

/// socketpair(2); each side then destroys the end that is not its own.
Handshake make_handshake();

}  // namespace lay::runner
