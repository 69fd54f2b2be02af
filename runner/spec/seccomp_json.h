#pragma once

#include "base/json.h"
#include "runner/spec.h"

namespace lay::runner {

/// linux.seccomp, as the runtime-spec has it.
Json seccomp_to_json(const Seccomp& seccomp);
/// The reverse. Throws invalid, naming the entry of "syscalls" that is wrong.
Seccomp parse_seccomp(const Json& json);
/// One entry of "syscalls".
SeccompRule parse_seccomp_rule(const Json& json);
/// Every name of an action or an operator that parse_seccomp() takes.
std::vector<std::string> seccomp_action_names();
std::vector<std::string> seccomp_operator_names();
/// "SCMP_ACT_ERRNO".
std::string name_of(SeccompAction action);

}  // namespace lay::runner
