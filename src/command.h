#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "context.h"

namespace lay::cli {

using Arguments = std::vector<std::string>;

/// What SIGINT and SIGTERM do to a command.
enum class Interrupt {
  ends,     ///< the process, as any other: nothing is half-done, or what is can be swept
  unwinds,  ///< the command stops at the next block and takes back what it began
};

/// One verb of the command line.
struct Command {
  std::string_view name;     ///< "images"
  std::string_view alias;    ///< the noun form, "image ls"; may be empty
  std::string_view summary;  ///< one line for the overview
  int error_code;            ///< exit code when it fails: 125 where the container's own codes must stay apart
  int (*run)(const Context& context, const Arguments& arguments);
  Interrupt interrupt;
};

std::span<const Command> all_commands();

/// What else users of docker and podman write for a command: "image prune" for "prune --images".
struct OtherWords {
  std::string_view words;
  std::string_view command;
  std::string_view flag;  ///< may be empty
};

std::span<const OtherWords> all_other_words();

// One file each under commands/.
int command_bundle(const Context& context, const Arguments& arguments);
int command_commit(const Context& context, const Arguments& arguments);
int command_copy(const Context& context, const Arguments& arguments);
int command_diff(const Context& context, const Arguments& arguments);
int command_exists(const Context& context, const Arguments& arguments);
int command_exec(const Context& context, const Arguments& arguments);
int command_export(const Context& context, const Arguments& arguments);
int command_generate(const Context& context, const Arguments& arguments);
int command_history(const Context& context, const Arguments& arguments);
int command_images(const Context& context, const Arguments& arguments);
int command_import(const Context& context, const Arguments& arguments);
int command_inspect(const Context& context, const Arguments& arguments);
int command_kill(const Context& context, const Arguments& arguments);
int command_login(const Context& context, const Arguments& arguments);
int command_load(const Context& context, const Arguments& arguments);
int command_logout(const Context& context, const Arguments& arguments);
int command_logs(const Context& context, const Arguments& arguments);
int command_network(const Context& context, const Arguments& arguments);
int command_port(const Context& context, const Arguments& arguments);
int command_ps(const Context& context, const Arguments& arguments);
int command_pull(const Context& context, const Arguments& arguments);
int command_push(const Context& context, const Arguments& arguments);
int command_restart(const Context& context, const Arguments& arguments);
int command_rm(const Context& context, const Arguments& arguments);
int command_rmi(const Context& context, const Arguments& arguments);
int command_fsck(const Context& context, const Arguments& arguments);
int command_df(const Context& context, const Arguments& arguments);
int command_prune(const Context& context, const Arguments& arguments);
int command_info(const Context& context, const Arguments& arguments);
int command_run(const Context& context, const Arguments& arguments);
int command_save(const Context& context, const Arguments& arguments);
int command_serve(const Context& context, const Arguments& arguments);
int command_start(const Context& context, const Arguments& arguments);
int command_stats(const Context& context, const Arguments& arguments);
int command_stop(const Context& context, const Arguments& arguments);
int command_top(const Context& context, const Arguments& arguments);
int command_update(const Context& context, const Arguments& arguments);
int command_pause(const Context& context, const Arguments& arguments);
int command_unpause(const Context& context, const Arguments& arguments);
int command_tag(const Context& context, const Arguments& arguments);
int command_tags(const Context& context, const Arguments& arguments);
int command_untag(const Context& context, const Arguments& arguments);
int command_version(const Context& context, const Arguments& arguments);
int command_wait(const Context& context, const Arguments& arguments);

}  // namespace lay::cli
