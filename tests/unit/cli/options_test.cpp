#include "flags/options.h"

#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "error_of.h"
#include "images/image_changes.h"
#include "output/listing.h"

using namespace lay;
using namespace lay::cli;

using List = std::vector<std::string>;

TEST_CASE("a command is a shell line unless it is a JSON list", "[cli][options]") {
  CHECK(parse_command_line("apachectl -DFOREGROUND") == List{"/bin/sh", "-c", "apachectl -DFOREGROUND"});
  CHECK(parse_command_line(R"(["nginx", "-g", "daemon off;"])") == List{"nginx", "-g", "daemon off;"});
  CHECK(parse_command_line("").empty());
  CHECK(parse_command_line("[]").empty());
  CHECK_THROWS_AS(parse_command_line("[\"a\""), Error);
  CHECK_THROWS_AS(parse_command_line("[1]"), Error);
}

TEST_CASE("flags end at the first word, and an unknown flag before it is an error", "[cli][options]") {
  bool interactive = false;
  bool tty = false;
  List env;
  const auto make = [&] {
    Parser parser("run", "", "");
    parser.add_flag("-i", interactive, "");
    parser.add_flag("-t", tty, "");
    parser.add_list("-e", env, "", "");
    return parser;
  };
  CHECK(make().parse_prefix({"-it", "-eA=1", "-e", "B=2", "image", "-x", "--rm", "-i"}) ==
        List{"image", "-x", "--rm", "-i"});
  CHECK(interactive);
  CHECK(tty);
  CHECK(env == List{"A=1", "B=2"});
  CHECK_THROWS_AS(make().parse_prefix({"--bogus", "image"}), UsageError);
  CHECK_THROWS_AS(make().parse_prefix({"--help"}), HelpRequested);
}

TEST_CASE("a flag that may be left out is empty then, and keeps what was given when the parser is gone",
          "[cli][options]") {
  const auto parsed = [](const List& words) {
    std::optional<bool> flag;
    Parser parser("x", "[flags]", "Does x.");
    parser.add_flag("--tls,!--no-tls", flag, "over TLS");
    parser.parse(words);
    return flag;
  };
  CHECK(parsed({}) == std::nullopt);
  CHECK(parsed({"--tls"}) == true);
  CHECK(parsed({"--tls=false"}) == false);
  CHECK(parsed({"--no-tls"}) == false);
  CHECK(parsed({"--no-tls", "--tls=true"}) == true);
  CHECK_THROWS_AS(parsed({"--tls=odd"}), UsageError);
}

TEST_CASE("the last of several values wins, numbers are checked, and what was not given is known",
          "[cli][options]") {
  std::string name;
  double delay = 0;
  std::optional<int> score;
  bool quiet = true;
  Parser parser("x", "[flags]", "Does x.");
  parser.add_option("--name", name, "a name").type_name("NAME");
  parser.add_option("--delay", delay).within(0, 10);
  parser.add_option("--score", score);
  const Option asked = parser.add_flag("-q,!--loud", quiet, "no progress");
  parser.parse({"--name", "a", "--name=b", "--delay", "1.5"});
  CHECK(name == "b");
  CHECK(delay == 1.5);
  CHECK(!score);
  CHECK(!asked.is_given());
  parser.parse({"--loud", "--score", "-3"});
  CHECK(score == -3);
  CHECK(asked.is_given());
  CHECK(!quiet);
  CHECK_THROWS_AS(parser.parse({"--delay", "11"}), UsageError);
  CHECK_THROWS_AS(parser.parse({"--score", "x"}), UsageError);
  CHECK_THROWS_AS(parser.parse({"word"}), UsageError);
  CHECK(parser.help().starts_with("Does x.\nusage: lay x [flags]\n"));
}

TEST_CASE("image flags go over what the base says", "[cli][options]") {
  ImageFlags flags;
  Parser parser("commit", "", "");
  flags.add_to(parser);
  parser.parse({"--cmd", "run me", "--env", "A=2", "--expose", "80", "--expose", "53/udp", "--label", "k=v=w",
                "--user", "www-data", "--workdir", "/srv"});
  layerstore::RunDefaults base;
  base.entrypoint = {"/entry"};
  base.env = {"A=1", "B=1"};
  const layerstore::RunDefaults run = flags.over(base);
  CHECK(run.entrypoint == List{"/entry"});
  CHECK(run.cmd == List{"/bin/sh", "-c", "run me"});
  CHECK(run.env == List{"B=1", "A=2"});
  CHECK(run.exposed_ports == std::set<std::string>{"53/udp", "80/tcp"});
  CHECK(run.labels.at("k") == "v=w");
  CHECK(run.user == "www-data");
  CHECK(run.working_dir == "/srv");
}

TEST_CASE("a new entrypoint drops the old arguments", "[cli][options]") {
  const ImageFlags flags{.entrypoint = "[\"/new\"]"};
  layerstore::RunDefaults base;
  base.cmd = {"old"};
  CHECK(flags.over(base).cmd.empty());
}

TEST_CASE("broken image flags are refused", "[cli][options]") {
  for (const char* bad : {"", "0", "65536", "80/icmp", "80/tcp/x", "http"}) {
    ImageFlags flags;
    flags.expose = {bad};
    INFO(bad);
    CHECK_THROWS_AS(flags.over({}), Error);
  }
  ImageFlags relative;
  relative.workdir = "srv";
  CHECK_THROWS_AS(relative.over({}), Error);
  ImageFlags label;
  label.labels = {"=x"};
  CHECK_THROWS_AS(label.over({}), Error);
}

TEST_CASE("instructions change an image one after the other", "[cli][options]") {
  layerstore::RunDefaults base;
  base.env = {"A=old", "KEPT=1"};
  base.cmd = {"old"};
  const layerstore::RunDefaults run =
      with_changes(base, {"ENV A=1 B=\"two words\" C='3' D=4\\ 5", "ENV OLDER form with blanks", "env Z=z",
                          "ENTRYPOINT [\"/app\",\"-x\"]", "CMD=/bin/sh", "EXPOSE 80 53/udp", "USER 5:6",
                          "LABEL a=b c=\"d e\"", "VOLUME [\"/v\",\"/w\"]", "VOLUME /x", "WORKDIR /srv",
                          "STOPSIGNAL SIGUSR1"});
  CHECK(run.env == std::vector<std::string>{"KEPT=1", "A=1", "B=two words", "C=3", "D=4 5",
                                            "OLDER=form with blanks", "Z=z"});
  CHECK(run.entrypoint == std::vector<std::string>{"/app", "-x"});
  CHECK(run.cmd == std::vector<std::string>{"/bin/sh", "-c", "/bin/sh"});
  CHECK(run.exposed_ports == std::set<std::string>{"53/udp", "80/tcp"});
  CHECK(run.user == "5:6");
  CHECK(run.labels == std::map<std::string, std::string>{{"a", "b"}, {"c", "d e"}});
  CHECK(run.volumes == std::set<std::string>{"/v", "/w", "/x"});
  CHECK(run.working_dir == "/srv");
  CHECK(run.stop_signal == "SIGUSR1");
  for (const char* wrong : {"", "CMD", "ENV A", "ENV A=\"x", "STOPSIGNAL NOPE", "VOLUME rel", "EXPOSE none",
                            "RUN true", "nonsense"}) {
    CAPTURE(wrong);
    const Error error = test::error_of([&] { with_changes({}, {wrong}); });
    CHECK((error.code() == Errc::invalid || error.code() == Errc::unsupported));
    CHECK(!error.hint().empty());
  }
}

TEST_CASE("an entrypoint voids the command of the base, not one given beside it", "[cli][options]") {
  layerstore::RunDefaults base;
  base.cmd = {"old"};
  const std::vector<std::string> cmd{"new"};
  CHECK(with_changes(base, {R"(CMD ["new"])", R"(ENTRYPOINT ["/app"])"}).cmd == cmd);
  CHECK(with_changes(base, {R"(ENTRYPOINT ["/app"])", R"(CMD ["new"])"}).cmd == cmd);
  CHECK(with_changes(base, {R"(ENTRYPOINT ["/app"])"}).cmd.empty());
  ImageFlags flags;
  flags.entrypoint = R"(["/app"])";
  CHECK(with_changes(base, {R"(CMD ["new"])"}, flags).cmd == cmd);
  CHECK(with_changes(base, {"USER app"}, flags).cmd.empty());
  CHECK(with_changes(base, {"USER app"}).cmd == base.cmd);
}

TEST_CASE("an instruction sets what it says, and nothing of this machine", "[cli][options]") {
  for (const char* wrong : {"ENV A=1 HOME", "LABEL a=1 b", "ENV KEY ", "ENV KEY \t", "LABEL key "}) {
    CAPTURE(wrong);
    const Error error = test::error_of([&] { with_changes({}, {wrong}); });
    CHECK(error.code() == Errc::invalid);
    CHECK_THAT(error.message(), Catch::Contains("has no value"));
  }
  CHECK(with_changes({}, {"USER app \n"}).user == "app");
  CHECK(with_changes({}, {"ENV KEY a value "}).env == std::vector<std::string>{"KEY=a value"});
}

TEST_CASE("instructions take variables of the image, commands leave them to the shell", "[cli][options]") {
  layerstore::RunDefaults base;
  base.env = {"PATH=/bin", "TWO=a b", "PATHS=no"};
  const auto env_of = [&](const std::string& change) { return with_changes(base, {change}).env.back(); };
  CHECK(env_of("ENV PATH=/app:$PATH") == "PATH=/app:/bin");
  CHECK(env_of("ENV X=${PATH}S") == "X=/binS");
  CHECK(env_of("ENV X=$TWO") == "X=a b");
  CHECK(env_of("ENV X \"$TWO\" c") == "X=a b c");
  CHECK(env_of("ENV X=$NONE-") == "X=-");
  CHECK(env_of("ENV X='$PATH'\\$PATH$") == "X=$PATH$PATH$");
  CHECK(env_of("ENV X=$5") == "X=$5");
  CHECK(env_of("ENV PATH=/new Y=$PATH") == "Y=/bin");
  const layerstore::RunDefaults run = with_changes(
      base, {"ENV DIR=/srv", "WORKDIR $DIR/app", "VOLUME [\"$DIR/v\"]", "LABEL a=${DIR}", "CMD echo $DIR"});
  CHECK(run.working_dir == "/srv/app");
  CHECK(run.volumes == std::set<std::string>{"/srv/v"});
  CHECK(run.labels == std::map<std::string, std::string>{{"a", "/srv"}});
  CHECK(run.cmd.back() == "echo $DIR");
  for (const char* wrong : {"ENV X=${PATH:-x}", "ENV X=${PATH", "ENV X=${}"})
    CHECK(test::error_of([&] { with_changes(base, {wrong}); }).code() == Errc::unsupported);
}
