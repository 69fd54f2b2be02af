#include <array>

#include "command.h"

namespace lay::cli {

namespace {

constexpr auto kEnd = Interrupt::ends;
constexpr auto kUnwind = Interrupt::unwinds;

constexpr std::array kCommands{
    Command{"import", "image import", "make a base image of a folder or a tar", 1, command_import, kUnwind},
    Command{"run", "container run", "run a command in a new container", 125, command_run, kUnwind},
    Command{"exec", "container exec", "run a command in a running container", 125, command_exec, kUnwind},
    Command{"commit", "container commit", "capture a container or an upper folder as an image", 1,
            command_commit, kUnwind},
    Command{"bundle", "", "write an OCI bundle that other runtimes run", 1, command_bundle, kUnwind},
    Command{"generate", "", "write how it is run for podman, Kubernetes or compose", 1, command_generate,
            kEnd},
    Command{"push", "image push", "send an image to a registry", 1, command_push, kUnwind},
    Command{"pull", "image pull", "get an image from a registry", 1, command_pull, kUnwind},
    Command{"copy", "image copy", "copy an image between registries, archives and the store", 1, command_copy,
            kUnwind},
    Command{"tags", "", "list the tags of a repository in a registry", 1, command_tags, kUnwind},
    Command{"login", "", "log in to a registry", 1, command_login, kUnwind},
    Command{"logout", "", "forget the credentials of a registry", 1, command_logout, kEnd},
    Command{"serve", "", "serve this store as a registry", 1, command_serve, kEnd},
    Command{"save", "image save", "write images as an archive", 1, command_save, kUnwind},
    Command{"load", "image load", "take images from an archive", 1, command_load, kUnwind},
    Command{"export", "container export", "write a root file system as a tar", 1, command_export, kUnwind},
    Command{"diff", "container diff", "list what was changed", 1, command_diff, kUnwind},
    Command{"images", "image ls", "list images", 1, command_images, kEnd},
    Command{"history", "image history", "show the layers of an image", 1, command_history, kEnd},
    Command{"tag", "image tag", "give an image another name", 1, command_tag, kEnd},
    Command{"untag", "image untag", "take names from an image", 1, command_untag, kEnd},
    Command{"rmi", "image rm", "remove images", 1, command_rmi, kEnd},
    Command{"df", "system df", "show what images and containers take on disk", 1, command_df, kEnd},
    Command{"prune", "system prune", "remove what nobody needs", 1, command_prune, kEnd},
    Command{"fsck", "system check", "find and mend what is damaged", 1, command_fsck, kUnwind},
    Command{"info", "system info", "show what lay found on this machine", 1, command_info, kEnd},
    Command{"inspect", "", "show everything about images or containers as JSON", 1, command_inspect, kEnd},
    Command{"exists", "", "say by the exit code whether an image or a container is there", 125,
            command_exists, kEnd},
    Command{"ps", "container ls", "list containers", 1, command_ps, kEnd},
    Command{"network", "", "make, list and remove networks", 1, command_network, kEnd},
    Command{"port", "container port", "show the published ports of a container", 1, command_port, kEnd},
    Command{"stats", "container stats", "show what running containers take", 1, command_stats, kEnd},
    Command{"top", "container top", "show the processes of a container", 1, command_top, kEnd},
    Command{"logs", "container logs", "show the output of a container", 1, command_logs, kEnd},
    Command{"start", "container start", "start stopped containers again", 125, command_start, kUnwind},
    Command{"stop", "container stop", "stop containers", 1, command_stop, kEnd},
    Command{"restart", "container restart", "stop containers and start them again", 125, command_restart,
            kUnwind},
    Command{"kill", "container kill", "send a signal to containers", 1, command_kill, kEnd},
    Command{"update", "container update", "change the limits of containers", 1, command_update, kEnd},
    Command{"pause", "container pause", "let containers stand still", 1, command_pause, kEnd},
    Command{"unpause", "container unpause", "let paused containers go on", 1, command_unpause, kEnd},
    Command{"wait", "container wait", "wait until containers end and print their exit codes", 1, command_wait,
            kEnd},
    Command{"rm", "container rm", "remove containers", 1, command_rm, kEnd},
    Command{"version", "", "show the version", 1, command_version, kEnd},
};

constexpr std::array kOtherWords{
    OtherWords{"image prune", "prune", "--images"},
    OtherWords{"image inspect", "inspect", "--type=image"},
    OtherWords{"image exists", "exists", "--type=image"},
    OtherWords{"image list", "images", ""},
    OtherWords{"image remove", "rmi", ""},
    OtherWords{"container prune", "prune", "--containers"},
    OtherWords{"container inspect", "inspect", "--type=container"},
    OtherWords{"container exists", "exists", "--type=container"},
    OtherWords{"container list", "ps", ""},
    OtherWords{"container ps", "ps", ""},
    OtherWords{"container remove", "rm", ""},
};

}  // namespace

std::span<const Command> all_commands() {
  return kCommands;
}

std::span<const OtherWords> all_other_words() {
  return kOtherWords;
}

}  // namespace lay::cli
