#include <fmt/format.h>
#include <sys/utsname.h>

#include "base/error.h"
#include "base/json.h"
#include "command.h"
#include "flags/options.h"
#include "output/listing.h"
#include "output/template.h"
#include "runner/host_security.h"

namespace lay::cli {

namespace {

/// A row for each; `json` makes an array of them.
int show_security(const std::string& format) {
  std::vector<Json> rows;
  for (const runner::SecurityFact& fact : runner::survey_security())
    rows.push_back({{"Name", fact.name}, {"State", fact.state}, {"Detail", fact.detail}});
  print_listing(rows, {{"PROTECTION", "Name"}, {"STATE", "State"}, {"DETAIL", "Detail"}}, format);
  return 0;
}

}  // namespace

int command_info(const Context& context, const Arguments& arguments) {
  std::string format;
  bool is_about_security = false;
  Parser parser("info", "[flags]", "Shows where lay works, and what it found on this machine.");
  parser.add_option("--format,-f", format, "json, or a template").type_name("FORMAT");
  parser.add_flag("--security", is_about_security, "what can keep containers apart on this machine");
  parser.parse(arguments);
  if (is_about_security) return show_security(format);
  const auto store = open_existing_store(context);
  const std::string root = store ? store->path() : context.root;
  const std::string form = store ? std::string(to_string(store->layers().form_of_new().form)) : "unknown";
  const std::string reason =
      store ? store->layers().form_of_new().reason : "there is no store yet; the first image makes it";
  ::utsname name{};
  if (::uname(&name) < 0) throw Error::from_errno("ask for the kernel's release");
  const Json info{{"Version", LAY_VERSION},
                  {"Root", root},
                  {"Run", context.run},
                  {"Kernel", name.release},
                  {"LayerForm", form},
                  {"LayerFormReason", reason},
                  {"Images", store ? store->images().list().size() : 0},
                  {"Containers", open_containers(context).list().size()}};
  if (format == "json") {
    fmt::print("{}\n", info.dump(2));
  } else if (!format.empty()) {
    fmt::print("{}\n", fill_template(format, info));
  } else {
    fmt::print("version:    {}\nroot:       {}\nrun:        {}\nkernel:     {}\nlayers:     {} ({})\n",
               LAY_VERSION, root, context.run, name.release, form, reason);
    fmt::print("images:     {}\ncontainers: {}\n", info.at("Images").get<std::size_t>(),
               info.at("Containers").get<std::size_t>());
  }
  return 0;
}

}  // namespace lay::cli
