#pragma once

#include "base/json.h"
#include "runner/container.h"

namespace lay::cli {

/// `HostConfig` of inspect: how the container is held, in the members that scripts for docker and podman look
/// at. What has no limit is 0. Pure.
Json host_config_json(const runner::ContainerConfig& config);

/// `Config` of inspect: what runs in the container and how, in the members of docker's and podman's.
/// Entrypoint and Cmd together are what is executed. Pure.
Json config_json(const runner::ContainerConfig& config);

/// `Mounts` of inspect: what users have put into the container, as docker and podman have it, and not what
/// every container has. Pure.
Json mounts_json(const runner::Spec& spec);

/// Where they are in the container, those in memory left out. Pure.
std::vector<std::string> volume_paths(const runner::Spec& spec);

/// Published ports as docker has them: "80/tcp" with the addresses and ports of the host.
Json ports_json(const std::vector<runner::PortMapping>& ports);

}  // namespace lay::cli
