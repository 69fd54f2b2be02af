#include "names/policy.h"

#include <catch2/catch.hpp>

#include "error_of.h"

using namespace lay::registry;
using lay::Errc;
using lay::test::error_of;

namespace {

constexpr const char* kAccepts = R"([{"type": "insecureAcceptAnything"}])";
constexpr const char* kRejects = R"([{"type": "reject"}])";

/// Accepts by default; `scopes` are those of docker.
std::string policy_with(const std::string& scopes, const std::string& otherwise = kAccepts) {
  return R"({"default": )" + otherwise + R"(, "transports": {"docker": {)" + scopes + "}}}";
}

std::string entry(const std::string& scope, const std::string& requirements) {
  return "\"" + scope + "\": " + requirements;
}

Errc code_of(const std::string& policy, const std::string& image = "quay.io:5000/team/app/x:1") {
  return error_of([&] { check_policy(policy, parse_reference(image)); }).code();
}

}  // namespace

TEST_CASE("the scopes of an image lead from its name over its host to every registry", "[registry][policy]") {
  CHECK(policy_scopes(parse_reference("debian")) ==
        std::vector<std::string>{"docker.io/library/debian:latest", "docker.io/library/debian",
                                 "docker.io/library", "docker.io", "*.io", ""});
  CHECK(policy_scopes(parse_reference("a.b.example:5000/x:1")) ==
        std::vector<std::string>{"a.b.example:5000/x:1", "a.b.example:5000/x", "a.b.example:5000",
                                 "*.b.example", "*.example", ""});
  const std::string digest = "sha256:" + std::string(64, 'a');
  CHECK(policy_scopes(parse_reference("h.io/x:1@" + digest)).front() == "h.io/x@" + digest);
}

TEST_CASE("of a policy the longest scope of an image decides, and the default last", "[registry][policy]") {
  const lay::registry::Reference image = parse_reference("quay.io:5000/team/app/x:1");
  CHECK_NOTHROW(check_policy(policy_with(""), image));
  CHECK(code_of(policy_with("", kRejects)) == Errc::denied);
  std::string accepted;
  for (const char* scope : {"", "*.io", "quay.io:5000", "quay.io:5000/team", "quay.io:5000/team/app/x",
                            "quay.io:5000/team/app/x:1"}) {
    CAPTURE(scope);
    CHECK(code_of(policy_with(accepted + entry(scope, kRejects))) == Errc::denied);
    accepted += entry(scope, kAccepts) + ",";
    CHECK_NOTHROW(check_policy(policy_with(accepted.substr(0, accepted.size() - 1), kRejects), image));
  }
  for (const char* scope : {"quay.io", "quay.io:5000/te", "*.quay.io", "quay.io:5000/team/app/x:2"})
    CHECK_NOTHROW(check_policy(policy_with(entry(scope, kRejects)), image));
  CHECK_NOTHROW(check_policy(
      R"({"default": [{"type": "insecureAcceptAnything"}], "transports": {"oci": {"": [{"type": "reject"}]}}})",
      image));
}

TEST_CASE("every requirement has to be met, and a signature cannot be verified", "[registry][policy]") {
  for (const char* type : {"signedBy", "sigstoreSigned", "signedBaseLayer"}) {
    CAPTURE(type);
    const std::string policy = policy_with("", R"([{"type": "insecureAcceptAnything"}, {"type": ")" +
                                                   std::string(type) + R"(", "keyType": "GPGKeys"}])");
    const lay::Error error = error_of([&] { check_policy(policy, parse_reference("debian")); });
    CHECK(error.code() == Errc::unsupported);
    CHECK(error.message().find(type) != std::string::npos);
    CHECK(error.hint().find("skopeo") != std::string::npos);
  }
}

TEST_CASE("what is no policy lets nothing pass", "[registry][policy]") {
  for (const char* text :
       {"", "[]", "{}", "nonsense", R"({"default": []})", R"({"default": {}})", R"({"default": [{}]})",
        R"({"default": ["reject"]})", R"({"default": [{"type": "accept"}]})",
        R"({"default": [{"type": "insecureAcceptAnything"}], "transports": []})",
        R"({"default": [{"type": "insecureAcceptAnything"}], "transports": {"docker": []}})",
        R"({"default": [{"type": "insecureAcceptAnything"}], "transports": {"docker": {"": []}}})",
        R"({"default": [{"type": "insecureAcceptAnything"}], "transports": {"docker": {"": "reject"}}})"}) {
    CAPTURE(text);
    CHECK(code_of(text) == Errc::invalid);
  }
}
