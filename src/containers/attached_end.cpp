#include "containers/attached_end.h"

#include "output/messages.h"

namespace lay::cli {

int exit_code_of(const runner::AttachedEnd& end) {
  if (end.lost_output && end.exit_code == 0) throw *end.lost_output;
  if (end.lost_output) print_trouble(*end.lost_output);
  return end.exit_code;
}

}  // namespace lay::cli
