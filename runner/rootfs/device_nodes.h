#pragma once

#include <sys/stat.h>

#include <string>

#include "base/unique_fd.h"
#include "runner/spec.h"

namespace lay::runner {

struct IdMap;

/// Fills the fresh tmpfs that is mounted on /dev: the nodes of spec.linux_.devices, and the links that every
/// program expects (fd, stdin, stdout, stderr, ptmx, core). `dev` is its root. runtime-spec config-linux.md
/// "Default devices". With `ids`, owners are those of a user namespace; one that is not in the map is root.
/// Nodes that belong elsewhere are put into a folder of it for the time being. Throws invalid for a device of
/// an unknown type.
void fill_dev(const UniqueFd& dev, const Spec& spec, const IdMap* ids);

/// Whether both are nodes of the same kind and number.
bool is_same_device(const struct ::stat& a, const struct ::stat& b);

/// Of a device that does not lie in /dev where its node is meanwhile, beneath /dev; `number` is its place in
/// spec.linux_.devices. Its own place gets a bind of it, so that none stays in the root file system.
std::string kept_node(std::size_t number);
bool lies_in_dev(const Device& device);
/// When all are bound.
void remove_kept_nodes(const UniqueFd& root, const Spec& spec);

}  // namespace lay::runner
