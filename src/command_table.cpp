#include <array>

#include "command.h"

namespace lay::cli {

namespace {

constexpr std::array kCommands{
    Command{"import", "image import", "make a base image of a folder or a tar", 1, command_import},
    Command{"run", "container run", "run a command in a new container", 125, command_run},
    Command{"exec", "container exec", "run a command in a running container", 125, command_exec},
    Command{"commit", "container commit", "capture a container or an upper folder as an image", 1,
            command_commit},
    Command{"push", "image push", "send an image to a registry", 1, command_push},
    Command{"pull", "image pull", "get an image from a registry", 1, command_pull},
    Command{"login", "", "log in to a registry", 1, command_login},
    Command{"logout", "", "forget the credentials of a registry", 1, command_logout},
    Command{"images", "image ls", "list images", 1, command_images},
    Command{"history", "image history", "show the layers of an image", 1, command_history},
    Command{"tag", "image tag", "give an image another name", 1, command_tag},
    Command{"rmi", "image rm", "remove images", 1, command_rmi},
    Command{"inspect", "image inspect", "show everything about images or containers as JSON", 1,
            command_inspect},
    Command{"ps", "container ls", "list containers", 1, command_ps},
    Command{"logs", "container logs", "show the output of a container", 1, command_logs},
    Command{"start", "container start", "start stopped containers again", 125, command_start},
    Command{"stop", "container stop", "stop containers", 1, command_stop},
    Command{"kill", "container kill", "send a signal to containers", 1, command_kill},
    Command{"wait", "container wait", "wait until containers end and print their exit codes", 1,
            command_wait},
    Command{"rm", "container rm", "remove containers", 1, command_rm},
};

}  // namespace

std::span<const Command> all_commands() {
  return kCommands;
}

}  // namespace lay::cli
