#include "flags/options.h"
#include "oci/oci.h"
#include "runner/lifecycle.h"

namespace lay::cli {

int oci_command_kill(const OciContext& context, const Arguments& arguments) {
  std::string id;
  std::string signal = "TERM";
  bool to_all = false;
  Parser parser("oci kill", "[flags] ID [SIGNAL]", "Sends a signal to a container.");
  parser.add_flag("-a,--all", to_all, "to every process, not only the first");
  parser.add_option("id", id).required();
  parser.add_option("signal", signal, "name or number; TERM");
  parser.parse(arguments);
  runner::oci_kill(context.store(), id, runner::parse_signal(signal),
                   to_all ? runner::OciRecipients::all : runner::OciRecipients::first);
  return 0;
}

int oci_command_delete(const OciContext& context, const Arguments& arguments) {
  std::string id;
  bool is_forced = false;
  Parser parser("oci delete", "[flags] ID", "Takes a stopped container away.");
  parser.add_flag("-f,--force", is_forced, "kill it first when it runs");
  parser.add_option("id", id).required();
  parser.parse(arguments);
  runner::oci_remove(context.store(), id,
                     is_forced ? runner::OciRemoval::forced : runner::OciRemoval::stopped,
                     [&](const std::string& warning) { warn(context, warning); });
  return 0;
}

int oci_command_pause(const OciContext& context, const Arguments& arguments) {
  std::string id;
  Parser parser("oci pause", "ID", "Lets every process of a container stand still.");
  parser.add_option("id", id).required();
  parser.parse(arguments);
  runner::oci_pause(context.store(), id);
  return 0;
}

int oci_command_resume(const OciContext& context, const Arguments& arguments) {
  std::string id;
  Parser parser("oci resume", "ID", "Lets a paused container go on.");
  parser.add_option("id", id).required();
  parser.parse(arguments);
  runner::oci_resume(context.store(), id);
  return 0;
}

}  // namespace lay::cli
