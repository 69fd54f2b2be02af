#pragma once

#include <string>
#include <vector>

/// What iptables-legacy's rules, which nf_tables does not show, do to packets of containers. lay reads them
/// and changes none.
namespace lay::runner {

/// A line for the user when the FORWARD chain drops by its policy what it does not know, and no rules that it
/// leads to accept both what comes from `bridge` and what goes to it. None when that cannot be read. One look
/// at a file where the kernel has no such tables.
std::vector<std::string> notes_on_legacy_chains(const std::string& bridge);

}  // namespace lay::runner
