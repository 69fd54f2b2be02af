#include "spec/seccomp_json.h"

#include <array>
#include <limits>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace lay::runner {

namespace {

/// config-linux.md, "Seccomp"; the first name of a value is the one that is written.
constexpr std::array<std::pair<SeccompAction, std::string_view>, 9> kActions{{
    {SeccompAction::kill_process, "SCMP_ACT_KILL_PROCESS"},
    {SeccompAction::kill_thread, "SCMP_ACT_KILL_THREAD"},
    {SeccompAction::kill_thread, "SCMP_ACT_KILL"},
    {SeccompAction::trap, "SCMP_ACT_TRAP"},
    {SeccompAction::error, "SCMP_ACT_ERRNO"},
    {SeccompAction::notify, "SCMP_ACT_NOTIFY"},
    {SeccompAction::trace, "SCMP_ACT_TRACE"},
    {SeccompAction::log, "SCMP_ACT_LOG"},
    {SeccompAction::allow, "SCMP_ACT_ALLOW"},
}};

constexpr std::array<std::pair<SeccompOperator, std::string_view>, 7> kOperators{{
    {SeccompOperator::ne, "SCMP_CMP_NE"},
    {SeccompOperator::lt, "SCMP_CMP_LT"},
    {SeccompOperator::le, "SCMP_CMP_LE"},
    {SeccompOperator::eq, "SCMP_CMP_EQ"},
    {SeccompOperator::ge, "SCMP_CMP_GE"},
    {SeccompOperator::gt, "SCMP_CMP_GT"},
    {SeccompOperator::masked_eq, "SCMP_CMP_MASKED_EQ"},
}};

constexpr std::uint32_t kMaxIndex = 5;
constexpr std::uint32_t kMaxErrno = 4095;  // beyond it the kernel reports 4095

template <class Table, class Value>
std::string word_for(const Table& table, Value value) {
  for (const auto& [key, word] : table)
    if (key == value) return std::string(word);
  return {};
}

template <class Table>
std::vector<std::string> words_of(const Table& table) {
  std::vector<std::string> words;
  for (const auto& [key, word] : table) words.emplace_back(word);
  return words;
}

/// The value under `key` by its name in `table`.
template <class Table>
auto value_of(const Table& table, const Json& object, const char* key) {
  const std::string name = json_string(object, key);
  for (const auto& [value, word] : table)
    if (word == name) return value;
  throw Error::make(Errc::invalid, "'{}' is '{}', which there is not", key, printable(name))
      .with_hint(fmt::format("{} is one", table.back().second));
}

std::optional<std::uint64_t> number(const Json& object, const char* key, std::uint64_t most) {
  const Json* value = json_find(object, key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_unsigned() || value->get<std::uint64_t>() > most)
    throw Error::make(Errc::invalid, "'{}' is {}, expected a whole number up to {}", key, value->dump(),
                      most);
  return value->get<std::uint64_t>();
}

std::optional<std::uint32_t> errno_under(const Json& object, const char* key) {
  const auto value = number(object, key, kMaxErrno);
  return value ? std::optional(static_cast<std::uint32_t>(*value)) : std::nullopt;
}

/// "If the action doesn't support returning an errno, the runtime MUST print and error and fail."
void check_errno(SeccompAction action, const std::optional<std::uint32_t>& number, const char* key) {
  if (!number || action == SeccompAction::error || action == SeccompAction::trace) return;
  throw Error::make(Errc::invalid, "'{}' is {}, but {} returns none", key, *number, name_of(action))
      .with_hint("SCMP_ACT_ERRNO and SCMP_ACT_TRACE do");
}

std::uint64_t required(const Json& object, const char* key, std::uint64_t most) {
  if (const auto value = number(object, key, most)) return *value;
  throw Error::make(Errc::invalid, "'{}' is missing", key);
}

SeccompArgument parse_argument(const Json& json) {
  constexpr auto kAny = std::numeric_limits<std::uint64_t>::max();
  return {.index = static_cast<std::uint32_t>(required(json, "index", kMaxIndex)),
          .value = required(json, "value", kAny),
          .value_two = number(json, "valueTwo", kAny).value_or(0),
          .op = value_of(kOperators, json, "op")};
}

Json to_json(const SeccompRule& rule) {
  Json json{{"names", rule.names}, {"action", name_of(rule.action)}};
  if (rule.errno_ret) json["errnoRet"] = *rule.errno_ret;
  for (const SeccompArgument& argument : rule.args)
    json["args"].push_back({{"index", argument.index},
                            {"value", argument.value},
                            {"valueTwo", argument.value_two},
                            {"op", word_for(kOperators, argument.op)}});
  return json;
}

}  // namespace

std::string name_of(SeccompAction action) {
  return word_for(kActions, action);
}

Json seccomp_to_json(const Seccomp& seccomp) {
  Json json{{"defaultAction", name_of(seccomp.default_action)}, {"syscalls", Json::array()}};
  if (seccomp.default_errno_ret) json["defaultErrnoRet"] = *seccomp.default_errno_ret;
  if (!seccomp.architectures.empty()) json["architectures"] = seccomp.architectures;
  if (!seccomp.flags.empty()) json["flags"] = seccomp.flags;
  if (!seccomp.listener_path.empty()) json["listenerPath"] = seccomp.listener_path;
  if (!seccomp.listener_metadata.empty()) json["listenerMetadata"] = seccomp.listener_metadata;
  for (const SeccompRule& rule : seccomp.syscalls) json["syscalls"].push_back(to_json(rule));
  return json;
}

SeccompRule parse_seccomp_rule(const Json& json) {
  SeccompRule rule{.names = json_strings(json, "names"),
                   .action = value_of(kActions, json, "action"),
                   .errno_ret = errno_under(json, "errnoRet")};
  if (rule.names.empty()) throw Error(Errc::invalid, "'names' is empty");
  check_errno(rule.action, rule.errno_ret, "errnoRet");
  for (const Json& argument : json_array(json, "args")) rule.args.push_back(parse_argument(argument));
  return rule;
}

Seccomp parse_seccomp(const Json& json) {
  Seccomp seccomp{.default_action = value_of(kActions, json, "defaultAction"),
                  .default_errno_ret = errno_under(json, "defaultErrnoRet"),
                  .architectures = json_strings(json, "architectures"),
                  .flags = json_strings(json, "flags"),
                  .listener_path = json_string_or(json, "listenerPath", {}),
                  .listener_metadata = json_string_or(json, "listenerMetadata", {})};
  check_errno(seccomp.default_action, seccomp.default_errno_ret, "defaultErrnoRet");
  for (const Json& rule : json_array(json, "syscalls"))
    with_context(fmt::format("entry {} of 'syscalls'", seccomp.syscalls.size()),
                 [&] { seccomp.syscalls.push_back(parse_seccomp_rule(rule)); });
  return seccomp;
}

std::vector<std::string> seccomp_action_names() {
  return words_of(kActions);
}

std::vector<std::string> seccomp_operator_names() {
  return words_of(kOperators);
}

}  // namespace lay::runner
