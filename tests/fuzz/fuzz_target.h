#pragma once

#include <cstddef>
#include <cstdint>

/// What libFuzzer calls, and what fuzz/replay_main.cpp calls for every file of a corpus. Input that is
/// refused (lay::Error) is a success; anything else that leaves it is a finding.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
