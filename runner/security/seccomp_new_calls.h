#pragma once

#include <array>
#include <string_view>
#include <utility>

namespace lay::runner {

/// System calls that libseccomp 2.5.4 has no names for, allowed or not; linux/unistd.h. From 424
/// on a number is the same on every architecture; the two below are x86-64's alone.
constexpr auto kNewSyscalls = std::to_array<std::pair<std::string_view, int>>({
#ifdef __x86_64__
    {"uretprobe", 335},
    {"uprobe", 336},
#endif
    {"statmount", 457},
    {"listmount", 458},
    {"lsm_get_self_attr", 459},
    {"lsm_set_self_attr", 460},
    {"lsm_list_modules", 461},
    {"mseal", 462},
    {"setxattrat", 463},
    {"getxattrat", 464},
    {"listxattrat", 465},
    {"removexattrat", 466},
    {"open_tree_attr", 467},
    {"file_getattr", 468},
    {"file_setattr", 469},
});

constexpr int kFirstCommonCall = 424;

}  // namespace lay::runner
