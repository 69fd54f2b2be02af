#include <fmt/format.h>
#include <unistd.h>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "command.h"
#include "flags/options.h"
#include "output/messages.h"
#include "prompt.h"
#include "registry/credentials.h"
#include "registry/login_host.h"
#include "registry/transfer.h"

namespace lay::cli {

namespace {

constexpr const char* kHub = "docker.io";
constexpr std::size_t kLongestPassword = 65536;

std::string read_password_from_stdin() {
  std::string password = sys::read_all(UniqueFd{::dup(STDIN_FILENO)}, kLongestPassword);
  while (password.ends_with('\n') || password.ends_with('\r')) password.pop_back();
  return password;
}

std::optional<std::string> optional_file(const std::string& path) {
  return path.empty() ? std::nullopt : std::optional(path);
}

/// Before any message has the word in it: people write passwords there.
std::string read_host(const std::string& command, const std::string& word) {
  return with_context(command, [&] { return registry::parse_login_host(word); });
}

/// Whether a login that is kept is good still; one that is not is told of.
bool is_logged_in(const std::string& host, const std::string& authfile,
                  const registry::Connection& connection) {
  const bool may_be_kept = authfile.empty() || ::access(authfile.c_str(), F_OK) == 0;
  const auto kept =
      may_be_kept ? registry::CredentialStore(optional_file(authfile)).find(host, "") : std::nullopt;
  if (!kept) return false;
  try {
    registry::check_login(host, *kept, connection);
    return true;
  } catch (const Error& error) {
    if (error.code() != Errc::unauthorized) throw;
    print_note("the login that is kept is refused");
    return false;
  }
}

int print_login(const std::string& host, const std::string& authfile) {
  const auto found = registry::CredentialStore(optional_file(authfile)).find(host, "");
  if (!found)
    throw Error::make(Errc::not_found, "not logged in to {}", printable(host)).with_hint("lay login " + host);
  fmt::print("{}\n", found->username.empty() ? "<token>" : found->username);
  return 0;
}

}  // namespace

int command_login(const Context&, const Arguments& arguments) {
  std::string host = kHub;
  std::string authfile;
  registry::Credentials credentials;
  bool from_stdin = false;
  bool shows_login = false;
  TlsFlag tls;
  std::string cert_dir;
  Parser parser("login", "[flags] [HOST[:PORT]]", "Checks credentials and keeps them for push and pull.");
  parser.add_option("host", host, "registry (docker.io)");
  parser.add_option("-u,--username", credentials.username, "user name").type_name("NAME");
  parser.add_option("-p,--password", credentials.password,
                    "visible to others on this machine; better: --password-stdin");
  parser.add_flag("--password-stdin", from_stdin, "read the password from stdin");
  parser.add_option("--authfile", authfile, "auth file to write").type_name("FILE");
  parser.add_flag("--get-login", shows_login, "print the user name that is logged in");
  parser.add_option("--cert-dir", cert_dir, "*.crt, *.cert and *.key instead of the certs.d folders")
      .type_name("DIR");
  tls.add_to(parser, "--tls-verify", kTlsAbout);
  parser.parse(arguments);

  host = read_host("login", host);
  return with_context("login " + printable(host), [&] {
    if (shows_login) return print_login(host, authfile);
    const registry::Connection connection{
        .tls_verify = tls.value(),
        .credentials = std::nullopt,
        .authfile = std::nullopt,
        .cert_dir = optional_file(cert_dir),
        .token_servers = trusted_token_servers(),
        .on_silence = tell_silence,
    };
    const bool asks_for_all = credentials.username.empty() && credentials.password.empty() && !from_stdin;
    if (asks_for_all && is_logged_in(host, authfile, connection)) {
      fmt::print("Already logged in to {}\n", host);
      return 0;
    }
    if (credentials.username.empty()) {
      if (from_stdin)
        throw Error(Errc::invalid, "--password-stdin needs --username")
            .with_hint("lay login -u NAME --password-stdin HOST");
      credentials.username = ask("Username: ", Echo::shown);
    }
    if (from_stdin)
      credentials.password = read_password_from_stdin();
    else if (credentials.password.empty())
      credentials.password = ask("Password: ", Echo::hidden);
    if (credentials.username.empty() || credentials.password.empty())
      throw Error(Errc::invalid, "user name or password is empty");
    registry::check_login(host, credentials, connection);
    registry::CredentialStore(optional_file(authfile)).save(host, credentials);
    fmt::print("Login Succeeded!\n");
    return 0;
  });
}

int command_logout(const Context&, const Arguments& arguments) {
  std::string host = kHub;
  std::string authfile;
  bool all = false;
  Parser parser("logout", "[flags] [HOST[:PORT]]", "Forgets the credentials of a registry.");
  parser.add_option("host", host, "registry (docker.io)");
  parser.add_flag("-a,--all", all, "those of every registry that the auth files hold");
  parser.add_option("--authfile", authfile, "auth file to write").type_name("FILE");
  parser.parse(arguments);
  if (all) {
    registry::CredentialStore(optional_file(authfile)).erase_all();
    fmt::print("Removed login credentials for all registries\n");
    return 0;
  }
  host = read_host("logout", host);
  return with_context("logout " + printable(host), [&] {
    if (!registry::CredentialStore(optional_file(authfile)).erase(host))
      throw Error::make(Errc::not_found, "not logged in to {}", host)
          .with_hint("no auth file that is read here has an entry for it");
    fmt::print("Removed login credentials for {}\n", host);
    return 0;
  });
}

}  // namespace lay::cli
