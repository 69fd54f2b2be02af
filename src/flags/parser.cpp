#include "flags/parser.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string_view>
#include <type_traits>

#include "base/error.h"
#include "base/text.h"
#include "flags/flag_words.h"
#include "flags/foreign_flags.h"

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
  return printable(text);
}

/// Of several words that are not understood, the flags: what stands behind one may be its value.
std::string not_understood(const Arguments& words) {
  Arguments flags = words;
  std::erase_if(flags, [](const std::string& word) { return !word.starts_with('-'); });
  return "unknown flag or argument: " + printable(join(flags.empty() ? words : flags, " "));
}

/// What to do instead, for the first of the words that is a flag of docker's or podman's; empty for none.
std::string way_without(const Arguments& words) {
  for (const std::string& word : words)
    if (const std::string_view way = way_without_flag(word.substr(0, word.find('='))); !way.empty())
      return std::string(way);
  return {};
}

/// "image", where flags are "-t", "--time" and "!--no-sync".
bool is_argument(std::string_view name) {
  return !name.starts_with('-') && !name.starts_with('!');
}

/// Why `text` cannot be the value of a flag that is true or false; empty when it can. CLI11 throws another
/// exception for some of these, and calls the others no number.
std::string why_no_truth(const std::string& text) {
  bool truth = false;
  return CLI::detail::lexical_cast(text, truth)
             ? ""
             : fmt::format("'{}' is neither true nor false", printable(text));
}

/// CLI11 takes no digits at all for 0, or for no value.
std::string why_no_number(const std::string& text) {
  return text.empty() ? "'' is no number" : "";
}

template <class T>
constexpr bool kIsText = std::is_same_v<T, std::string> || std::is_same_v<T, std::optional<std::string>> ||
                         std::is_same_v<T, std::vector<std::string>>;

}  // namespace

struct Definition {
  std::string names;  ///< "-t,--time"
  FlagKind kind;      ///< of a flag
  std::function<CLI::Option*(CLI::App&)> add;
  std::vector<std::function<void(CLI::Option&)>> changes;  ///< made to what add() returns
  bool is_required = false;
  CLI::Option* option = nullptr;  ///< CLI11's, where it knows of it; belongs to the App

  CLI::Option* add_to(CLI::App& app) const {
    CLI::Option* added = add(app);
    for (const auto& change : changes) change(*added);
    return added;
  }
};

struct Parser::State {
  std::string name;
  std::string usage;
  std::string about;
  bool leaves_h_alone = false;
  bool is_prefix = false;                ///< flags end at the first word
  std::unique_ptr<CLI::App> app;         ///< what parse() has told CLI11
  std::deque<Definition> definitions{};  ///< in their order on the help page

  Definition& define(const std::string& names, FlagKind kind, std::function<CLI::Option*(CLI::App&)> add) {
    return definitions.emplace_back(Definition{names, kind, std::move(add)});
  }

  std::unique_ptr<CLI::App> make_app() const {
    auto made = std::make_unique<CLI::App>(about, "lay " + name);
    made->formatter(std::make_shared<UsageFormatter>("usage: lay " + name + " " + usage));
    made->option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    made->prefix_command(is_prefix);
    if (leaves_h_alone) made->set_help_flag("--help", "this page");
    return made;
  }

  FlagWords read_words(const Arguments& arguments) const {
    std::vector<KnownFlag> known;
    known.reserve(definitions.size());
    for (const Definition& definition : definitions) known.push_back({definition.names, definition.kind});
    return read_flag_words(arguments, known, is_prefix ? FlagsEnd::at_first_word : FlagsEnd::at_dashes);
  }

  /// Tells CLI11 of arguments and of the flags that are named.
  void tell(const std::vector<bool>& is_named) {
    app = make_app();
    for (std::size_t i = 0; i < definitions.size(); ++i) {
      Definition& definition = definitions[i];
      const bool is_needed = is_named[i] || definition.is_required || is_argument(definition.names);
      definition.option = is_needed ? definition.add_to(*app) : nullptr;
    }
  }
};

Option Option::type_name(const std::string& type) const {
  definition_->changes.emplace_back([type](CLI::Option& option) { option.type_name(type); });
  return *this;
}

Option Option::required() const {
  definition_->is_required = true;
  definition_->changes.emplace_back([](CLI::Option& option) { option.required(); });
  return *this;
}

Option Option::one_of(const std::vector<std::string>& values) const {
  definition_->changes.emplace_back([values](CLI::Option& option) { option.check(CLI::IsMember(values)); });
  return *this;
}

Option Option::positive() const {
  definition_->changes.emplace_back([](CLI::Option& option) { option.check(CLI::PositiveNumber); });
  return *this;
}

Option Option::within(double least, double most) const {
  definition_->changes.emplace_back([=](CLI::Option& option) { option.check(CLI::Range(least, most)); });
  return *this;
}

bool Option::is_given() const {
  return definition_->option != nullptr && definition_->option->count() > 0;
}

Parser::Parser(const std::string& name, const std::string& usage, const std::string& about)
    : state_(new State{.name = name, .usage = usage, .about = about}) {}

Parser::Parser(Parser&& other) noexcept = default;
Parser::~Parser() = default;

template <class T>
Option Parser::add_option(const std::string& names, T& into, const std::string& about) {
  return Option(state_->define(names, FlagKind::valued, [names, &into, about](CLI::App& app) {
    CLI::Option* option = app.add_option(names, into, about);
    if constexpr (!kIsText<T>) option->check(why_no_number, "", "");
    return option;
  }));
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
  return Option(state_->define(names, FlagKind::valued, [names, &into, about, type](CLI::App& app) {
    return app.add_option(names, into, about)
        ->type_name(type)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false);
  }));
}

Option Parser::add_flag(const std::string& names, bool& into, const std::string& about) {
  return Option(state_->define(names, FlagKind::truth, [names, &into, about](CLI::App& app) {
    return app.add_flag(names, into, about)->check(why_no_truth, "", "");
  }));
}

Option Parser::add_flag(const std::string& names, std::optional<bool>& into, const std::string& about) {
  // CLI11 would count a std::optional<bool>
  const auto put = [&into](std::int64_t truth) { into = truth > 0; };
  return Option(state_->define(names, FlagKind::truth, [names, put, about](CLI::App& app) {
    return app.add_flag_function(names, put, about)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
        ->check(why_no_truth, "", "");
  }));
}

void Parser::leave_h_alone() {
  state_->leaves_h_alone = true;
}

void Parser::parse(const Arguments& arguments) {
  FlagWords read = state_->read_words(arguments);
  state_->tell(read.is_named);
  try {
    std::ranges::reverse(read.words);  // CLI11 takes them from the back
    state_->app->parse(std::move(read.words));
  } catch (const CLI::CallForHelp&) {
    throw HelpRequested{help()};
  } catch (const CLI::ExtrasError&) {
    const Arguments words = state_->app->remaining();
    throw UsageError{not_understood(words), way_without(words)};
  } catch (const CLI::ParseError& error) {
    throw UsageError{in_own_words(error)};
  }
}

std::vector<std::string> Parser::parse_prefix(const Arguments& arguments) {
  state_->is_prefix = true;
  parse(arguments);
  std::vector<std::string> rest = state_->app->remaining();
  if (!rest.empty() && rest.front() == "--") rest.erase(rest.begin());
  if (!rest.empty() && rest.front().size() > 1 && rest.front().front() == '-')
    throw UsageError{fmt::format("unknown flag: {}", printable(rest.front())), way_without({rest.front()})};
  return rest;
}

std::string Parser::help() const {
  const std::unique_ptr<CLI::App> app = state_->make_app();
  for (const Definition& definition : state_->definitions) definition.add_to(*app);
  return app->help();
}

}  // namespace lay::cli
