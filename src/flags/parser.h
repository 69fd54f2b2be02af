#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "command.h"

/// The flags and arguments of one command. CLI11 reads them; only parser.cpp sees it, for each file that
/// includes it builds some ten global objects before main() runs.
namespace lay::cli {

/// --help was asked for: `text` goes to stdout, exit code 0.
struct HelpRequested {
  std::string text;
};

/// A flag or argument that is not understood.
struct UsageError {
  std::string message;
  std::string hint{};  ///< empty: main() shows that of the command's help
};

/// What a Parser knows of one flag or argument.
struct Definition;

/// What more there is to say about a flag or argument; belongs to its Parser.
class Option {
 public:
  /// What the help page calls its value: "FILE".
  Option type_name(const std::string& type) const;
  /// The command line is refused without it.
  Option required() const;
  /// Only these values are taken.
  Option one_of(const std::vector<std::string>& values) const;
  /// Only numbers above 0 are taken.
  Option positive() const;
  /// Only numbers from `least` to `most` are taken.
  Option within(double least, double most) const;
  /// Whether the parsed command line had it.
  bool is_given() const;

 private:
  friend class Parser;
  explicit Option(Definition& definition) : definition_(&definition) {}

  Definition* definition_;
};

/// Puts what a command line says into variables of the caller's, which must outlive the call of parse().
/// CLI11 compares each flag with all before it, which takes `lay run` longer than most of its work: so it is
/// told of those alone that the command line names, and of all for the help page.
class Parser {
 public:
  /// A parser for "lay NAME"; `usage` is what the help page shows behind the name.
  Parser(const std::string& name, const std::string& usage, const std::string& about);
  Parser(Parser&& other) noexcept;
  ~Parser();

  /// A flag with a value ("-t,--time"), or an argument ("name"). T: std::string, std::vector or std::optional
  /// of it, or a number; parser.cpp lists them. The last of several wins, but a list takes all.
  template <class T>
  Option add_option(const std::string& names, T& into, const std::string& about = "");
  /// A flag that may be given several times, each with one value.
  Option add_list(const std::string& names, std::vector<std::string>& into, const std::string& about,
                  const std::string& type);
  /// A flag without a value; the name of one that means "no" begins with "!".
  Option add_flag(const std::string& names, bool& into, const std::string& about);
  /// One of which it matters whether it was given: empty when it was not.
  Option add_flag(const std::string& names, std::optional<bool>& into, const std::string& about);
  /// -h is no help flag, for it means something else here.
  void leave_h_alone();

  /// Throws HelpRequested or UsageError.
  void parse(const Arguments& arguments);
  /// For commands whose flags end at the first word (run, exec): returns that word and all behind it.
  std::vector<std::string> parse_prefix(const Arguments& arguments);
  /// The help page.
  std::string help() const;

 private:
  struct State;

  std::unique_ptr<State> state_;
};

}  // namespace lay::cli
