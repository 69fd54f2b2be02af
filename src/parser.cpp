#include "parser.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>

#include "base/error.h"
#include "base/text.h"

namespace lay::cli {

namespace {

/// CLI11's help page with a usage line that is written by hand, since flags end at IMAGE in some commands.
class UsageFormatter final : public CLI::Formatter {
 public:
  explicit UsageFormatter(std::string usage) : usage_(std::move(usage)) { column_width(34); }
  std::string make_usage(const CLI::App*, std::string) const override { return usage_ + "\n"; }

 private:
  std::string usage_;
};

/// "Could not convert: --cpus = abc" and the like, as lay says such things.
std::string in_own_words(const CLI::ParseError& error) {
  const std::string text = error.what();
  const std::string_view kConvert = "Could not convert: ";
  const std::size_t equals = text.find(" = ");
  if (text.starts_with(kConvert) && equals != std::string::npos)
    return fmt::format("{} '{}' is no number", text.substr(kConvert.size(), equals - kConvert.size()),
                       printable(text.substr(equals + 3)));
  if (const std::size_t needs = text.find(": 1 required "); needs != std::string::npos)
    return text.substr(0, needs) + " needs a value";
  if (text.find("not expected: ") != std::string::npos)
    return "unknown flag or argument: " + printable(text.substr(text.find(": ") + 2));
  return printable(text);
}

}  // namespace

Option Option::type_name(const std::string& type) const {
  return Option(option_->type_name(type));
}

Option Option::required() const {
  return Option(option_->required());
}

Option Option::one_of(const std::vector<std::string>& values) const {
  return Option(option_->check(CLI::IsMember(values)));
}

Option Option::positive() const {
  return Option(option_->check(CLI::PositiveNumber));
}

Option Option::within(double least, double most) const {
  return Option(option_->check(CLI::Range(least, most)));
}

bool Option::is_given() const {
  return option_->count() > 0;
}

Parser::Parser(const std::string& name, const std::string& usage, const std::string& about)
    : app_(std::make_unique<CLI::App>(about, "lay " + name)) {
  app_->formatter(std::make_shared<UsageFormatter>("usage: lay " + name + " " + usage));
  app_->option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

Parser::Parser(Parser&& other) noexcept = default;
Parser::~Parser() = default;

template <class T>
Option Parser::add_option(const std::string& names, T& into, const std::string& about) {
  return Option(app_->add_option(names, into, about));
}

template Option Parser::add_option(const std::string&, std::string&, const std::string&);
template Option Parser::add_option(const std::string&, std::optional<std::string>&, const std::string&);
template Option Parser::add_option(const std::string&, std::vector<std::string>&, const std::string&);
template Option Parser::add_option(const std::string&, int&, const std::string&);
template Option Parser::add_option(const std::string&, std::optional<int>&, const std::string&);
template Option Parser::add_option(const std::string&, unsigned&, const std::string&);
template Option Parser::add_option(const std::string&, std::optional<unsigned>&, const std::string&);
template Option Parser::add_option(const std::string&, double&, const std::string&);
template Option Parser::add_option(const std::string&, std::optional<double>&, const std::string&);
template Option Parser::add_option(const std::string&, std::optional<std::int64_t>&, const std::string&);
template Option Parser::add_option(const std::string&, std::optional<std::uint64_t>&, const std::string&);

Option Parser::add_list(const std::string& names, std::vector<std::string>& into, const std::string& about,
                        const std::string& type) {
  return Option(app_->add_option(names, into, about)
                    ->type_name(type)
                    ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
                    ->allow_extra_args(false));
}

Option Parser::add_flag(const std::string& names, bool& into, const std::string& about) {
  return Option(app_->add_flag(names, into, about));
}

void Parser::leave_h_alone() {
  app_->set_help_flag("--help", "this page");
}

void Parser::parse(const Arguments& arguments) {
  try {
    // CLI11 takes the words from the back.
    app_->parse(Arguments(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    throw HelpRequested{help()};
  } catch (const CLI::ParseError& error) {
    throw UsageError{in_own_words(error)};
  }
}

std::vector<std::string> Parser::parse_prefix(const Arguments& arguments) {
  app_->prefix_command();
  parse(arguments);
  std::vector<std::string> rest = app_->remaining();
  if (!rest.empty() && rest.front() == "--") rest.erase(rest.begin());
  if (!rest.empty() && rest.front().size() > 1 && rest.front().front() == '-')
    throw UsageError{fmt::format("unknown flag: {}", rest.front())};
  return rest;
}

std::string Parser::help() const {
  return app_->help();
}

}  // namespace lay::cli
