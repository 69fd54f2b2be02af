#include "flags/parser.h"

#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <vector>

using namespace lay::cli;

namespace {

/// A command with a flag of each kind.
struct Flags {
  bool tty = false;
  bool input = false;
  bool sync = true;
  int time = 10;
  std::optional<std::string> name;
  std::vector<std::string> env;
  std::string image;
  Parser parser{"try", "[flags] IMAGE", "Tries flags."};
  Option time_flag = parser.add_option("-t,--time", time, "seconds").type_name("SECONDS").within(0, 60);

  Flags() {
    parser.add_flag("-T,--tty", tty, "a terminal");
    parser.add_flag("-i,--interactive", input, "standard input");
    parser.add_flag("--sync,!--no-sync", sync, "wait for the disk");
    parser.add_option("--name", name, "its name");
    parser.add_list("-e,--env", env, "a variable", "KEY=VALUE");
    parser.add_option("image", image, "what to try").required();
  }
};

std::string refusal(const std::vector<std::string>& arguments) {
  Flags flags;
  try {
    flags.parser.parse(arguments);
  } catch (const UsageError& error) {
    return error.message;
  }
  return "";
}

}  // namespace

TEST_CASE("a flag is understood in each of its spellings", "[cli][parser]") {
  const std::vector<std::string> arguments = GENERATE(
      std::vector<std::string>{"-Tit5", "-eA=1", "--no-sync", "--name=web", "debian:12"},
      std::vector<std::string>{"-T", "-i", "-t", "5", "-e", "A=1", "--no-sync", "--name", "web", "debian:12"},
      std::vector<std::string>{"debian:12", "--tty", "--interactive", "--time=5", "--env=A=1", "--no-sync",
                               "--name", "web"});
  Flags flags;
  flags.parser.parse(arguments);
  CHECK(flags.tty);
  CHECK(flags.input);
  CHECK_FALSE(flags.sync);
  CHECK(flags.time == 5);
  CHECK(flags.time_flag.is_given());
  CHECK(flags.name == "web");
  CHECK(flags.env == std::vector<std::string>{"A=1"});
  CHECK(flags.image == "debian:12");
}

TEST_CASE("what a command line does not name keeps its value", "[cli][parser]") {
  Flags flags;
  flags.parser.parse({"debian:12"});
  CHECK_FALSE(flags.tty);
  CHECK(flags.sync);
  CHECK(flags.time == 10);
  CHECK_FALSE(flags.time_flag.is_given());
  CHECK_FALSE(flags.name);
  CHECK(flags.env.empty());
}

TEST_CASE("what is wrong with a command line is said", "[cli][parser]") {
  CHECK(refusal({}) == "image is required");
  CHECK(refusal({"--tty"}) == "image is required");
  CHECK(refusal({"-x", "debian:12"}) == "unknown flag or argument: -x");
  CHECK(refusal({"--tim=5", "debian:12"}) == "unknown flag or argument: --tim=5");
  CHECK(refusal({"debian:12", "-x", "more", "--why"}) == "unknown flag or argument: -x --why");
  CHECK(refusal({"debian:12", "--name"}) == "--name needs a value");
  CHECK(refusal({"--time", "long", "debian:12"}).find("--time") != std::string::npos);
  CHECK_FALSE(refusal({"--time", "61", "debian:12"}).empty());
}

TEST_CASE("an empty value behind '=' is the value, and not the next word", "[cli][parser]") {
  Flags flags;
  flags.parser.parse({"--name=", "--env=", "-e=", "debian:12", "-T"});
  CHECK(flags.name == "");
  CHECK(flags.env == std::vector<std::string>{"", ""});
  CHECK(flags.image == "debian:12");
  CHECK(flags.tty);
  CHECK(refusal({"--time=", "5"}) == "--time: '' is no number");
  CHECK(refusal({"--time", "", "debian:12"}) == "--time: '' is no number");
  CHECK(refusal({"--tty=", "debian:12"}) == "--tty: '' is neither true nor false");
  CHECK(refusal({"-T=", "debian:12"}) == "-T: '' is neither true nor false");
}

TEST_CASE("'=' behind a short flag is no part of its value", "[cli][parser]") {
  Flags flags;
  flags.parser.parse({"-t=5", "-Tie=A=1", "-e==x", "-e=-T", "-i=false", "debian:12"});
  CHECK(flags.time == 5);
  CHECK(flags.env == std::vector<std::string>{"A=1", "=x", "-T"});
  CHECK(flags.tty);
  CHECK_FALSE(flags.input);
  CHECK(flags.image == "debian:12");

  Flags group;
  group.parser.parse({"-iT=false", "debian:12"});
  CHECK(group.input);
  CHECK_FALSE(group.tty);
  CHECK(refusal({"-iT=maybe", "debian:12"}) == "--tty: 'maybe' is neither true nor false");
  CHECK(refusal({"--tty=maybe", "debian:12"}) == "--tty: 'maybe' is neither true nor false");
  CHECK(refusal({"-y=false", "debian:12"}) == "unknown flag or argument: -y=false");
}

TEST_CASE("the value of a flag is taken as it is, though it looks like a flag", "[cli][parser]") {
  Flags flags;
  flags.parser.parse({"--name", "--tty=", "-e", "-i=false", "-Te", "--", "debian:12"});
  CHECK(flags.name == "--tty=");
  CHECK(flags.env == std::vector<std::string>{"-i=false", "--"});
  CHECK(flags.tty);
  CHECK(flags.image == "debian:12");
}

TEST_CASE("behind -- stands no flag", "[cli][parser]") {
  Flags flags;
  flags.parser.parse({"-T", "--", "-e="});
  CHECK(flags.image == "-e=");
  CHECK(flags.env.empty());
}

TEST_CASE("what stands behind the first word, or behind --, is left as it is", "[cli][parser]") {
  const std::vector<std::string> command{"debian:12", "env", "--name=", "-t=5", "-T=", "--", "-i=false"};
  std::vector<std::string> arguments = command;
  if (GENERATE(false, true)) arguments.insert(arguments.begin(), "--");
  arguments.insert(arguments.begin(), {"--name=", "-t=3", "-T=false"});
  Parser parser("run", "IMAGE COMMAND", "Runs.");
  std::string name = "none";
  int time = 0;
  bool tty = true;
  parser.add_option("--name", name, "its name");
  parser.add_option("-t,--time", time, "seconds");
  parser.add_flag("-T,--tty", tty, "a terminal");
  CHECK(parser.parse_prefix(arguments) == command);
  CHECK(name.empty());
  CHECK(time == 3);
  CHECK_FALSE(tty);
}

TEST_CASE("flags behind the first word belong to the command that is run", "[cli][parser]") {
  Flags flags;
  Parser parser("run", "IMAGE COMMAND", "Runs.");
  bool tty = false;
  parser.add_flag("-T,--tty", tty, "a terminal");
  CHECK(parser.parse_prefix({"debian:12", "top", "--tty"}) ==
        std::vector<std::string>{"debian:12", "top", "--tty"});
  CHECK_FALSE(tty);
}

TEST_CASE("the help page has every flag in its order, whatever else the command line names",
          "[cli][parser]") {
  const auto help_of = [](const std::vector<std::string>& arguments) {
    Flags flags;
    try {
      flags.parser.parse(arguments);
    } catch (const HelpRequested& help) {
      return help.text;
    }
    return std::string();
  };
  const std::string help = Flags().parser.help();
  Flags parsed;
  parsed.parser.parse({"--name", "web", "debian:12"});
  CHECK(parsed.parser.help() == help);
  CHECK(help_of({"--help"}) == help);
  CHECK(help_of({"-i", "--name", "web", "-h"}) == help);
  std::size_t last = 0;
  for (const char* flag : {"--time", "--tty", "--interactive", "--sync", "--name", "--env"}) {
    const std::size_t place = help.find(flag);
    REQUIRE(place != std::string::npos);
    CHECK(place > last);
    last = place;
  }
}
