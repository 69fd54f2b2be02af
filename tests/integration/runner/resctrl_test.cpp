#include "cgroup/resctrl.h"

#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>

#include "base/error.h"
#include "error_of.h"
#include "temp_folder.h"

namespace lay::runner {

using test::error_of;
using test::TempFolder;

namespace {

namespace fs = std::filesystem;

/// The kernel makes the files of a class with its folder; here a class that is there stands for one.
void make_class(const fs::path& root, const std::string& name, const std::string& schemata) {
  fs::create_directories(root / name / "mon_groups");
  std::ofstream(root / name / "schemata") << schemata;
  std::ofstream(root / name / "tasks") << "";
}

std::string text_of(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("a class of resctrl that is there is entered as it is", "[runner][resctrl]") {
  const TempFolder dir;
  make_class(dir.path(), "gold", "    L3:0=00f;1=00f\n    MB:0= 50;1= 50\n");
  const ResctrlGroup group = ResctrlGroup::create(dir.path(), {.class_id = "gold"}, "c1");
  CHECK(group.made().empty());
  group.enter();
  CHECK(text_of(fs::path(dir.path()) / "gold/tasks") == "0");
}

TEST_CASE("schemata of a class that is there have to be those that are asked for", "[runner][resctrl]") {
  const TempFolder dir;
  make_class(dir.path(), "gold", "    L3:0=00f;1=00f\n    MB:0= 50;1= 50\n");
  const IntelRdt same{.class_id = "gold", .l3_schema = "L3:0=f;1=f", .memory_schema = "MB:0=50;1=50"};
  CHECK(ResctrlGroup::create(dir.path(), same, "c1").made().empty());
  // One domain alone, in capitals, and lines of bandwidth that the other schema replaces
  for (const char* schema : {"L3:1=F", "L3: 0 = 00F", "MB:0=10\nL3:0=f"})
    CHECK(ResctrlGroup::create(dir.path(),
                               {.class_id = "gold", .l3_schema = schema, .memory_schema = "MB:1=50"}, "c2")
              .made()
              .empty());
  const IntelRdt other{.class_id = "gold", .l3_schema = "L3:0=ff;1=f"};
  const Error error = error_of([&] { ResctrlGroup::create(dir.path(), other, "c1"); });
  CHECK(error.code() == Errc::invalid);
  CHECK_THAT(error.message(), Catch::Contains("another schema than 'L3:0=ff;1=f'"));
}

TEST_CASE("a class that is not there is an error without schemata, and is made with them",
          "[runner][resctrl]") {
  const TempFolder dir;
  const Error error = error_of([&] { ResctrlGroup::create(dir.path(), {.class_id = "gold"}, "c1"); });
  CHECK(error.code() == Errc::not_found);
  // There is no kernel to make its files: writing its schemata fails, and the class is gone again
  const IntelRdt wanted{.class_id = "gold", .l3_schema = "L3:0=f"};
  CHECK_THAT(error_of([&] { ResctrlGroup::create(dir.path(), wanted, "c1"); }).message(),
             Catch::Contains("schema 'L3:0=f'"));
  CHECK(!fs::exists(fs::path(dir.path()) / "gold"));
}

TEST_CASE("monitors lie in the class under the container's id, and go with it", "[runner][resctrl]") {
  const TempFolder dir;
  make_class(dir.path(), "gold", "");
  const fs::path monitor = fs::path(dir.path()) / "gold/mon_groups/c1";
  {
    const ResctrlGroup group =
        ResctrlGroup::create(dir.path(), {.class_id = "gold", .monitors_cache = true}, "c1");
    CHECK(group.made() == std::vector<std::string>{monitor.string()});
    CHECK(group.folders().size() == 2);
    CHECK(fs::exists(monitor));
  }
  CHECK(!fs::exists(monitor));
  CHECK(fs::exists(fs::path(dir.path()) / "gold"));
}

TEST_CASE("what delete may have to remove is known before it is made", "[runner][resctrl]") {
  using Folders = std::vector<std::string>;
  CHECK(ResctrlGroup::own_folders("/r", {}, "c1") == Folders{"/r/c1"});
  CHECK(ResctrlGroup::own_folders("/r", {.class_id = "gold", .l3_schema = "L3:0=f"}, "c1").empty());
  CHECK(ResctrlGroup::own_folders("/r", {.class_id = "gold", .monitors_memory = true}, "c1") ==
        Folders{"/r/gold/mon_groups/c1"});
}

TEST_CASE("a class without a name of its own is the container's, made and removed", "[runner][resctrl]") {
  const TempFolder dir;
  ResctrlGroup group = ResctrlGroup::create(dir.path(), {}, "c1");
  const std::vector<std::string> made = group.made();
  group.leave();
  CHECK(made == std::vector<std::string>{dir.path() + "/c1"});
  CHECK(fs::exists(made.front()));
  remove_resctrl_folders(made);
  remove_resctrl_folders(made);  // gone is no error
  CHECK(!fs::exists(made.front()));
}

TEST_CASE("other schemata are in force at once, and the old ones again unless they are kept",
          "[runner][resctrl]") {
  const TempFolder dir;
  make_class(dir.path(), "c1", "L3:0=f\n");
  const std::string folder = class_folder(dir.path(), {}, "c1");
  const std::string file = folder + "/schemata";
  { const SchemataChange change(dir.path(), folder, {.l3_schema = "L3:0=3"}); }
  CHECK(text_of(file) == "L3:0=f\n");
  {
    SchemataChange change(dir.path(), folder, {.l3_schema = "L3:0=3"});
    CHECK(text_of(file) == "L3:0=3\n");
    SchemataChange moved(std::move(change));
    moved.keep();
  }
  CHECK(text_of(file) == "L3:0=3\n");
}

TEST_CASE("each line of the old schemata is set again, also behind one that is refused",
          "[runner][resctrl]") {
  const TempFolder dir;
  make_class(dir.path(), "c1", "L3:0=ffff;1=ffff\nMB:0=5\n");
  const std::string folder = class_folder(dir.path(), {}, "c1");
  rlimit usual{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &usual) == 0);
  std::optional<SchemataChange> change(std::in_place, dir.path(), folder,
                                       IntelRdt{.memory_schema = "MB:0=1"});
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit tight{.rlim_cur = 8, .rlim_max = usual.rlim_max};  // the first line is longer
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &tight) == 0);
  change.reset();
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &usual) == 0);
  std::signal(SIGXFSZ, handler);
  CHECK(text_of(folder + "/schemata").starts_with("MB:0=5\n"));
}

TEST_CASE("schemata that the kernel refuses leave the old ones, and it is said why", "[runner][resctrl]") {
  const TempFolder dir;
  fs::create_directories(dir.path() + "/c1");
  fs::create_directories(dir.path() + "/info");
  fs::create_symlink("/proc/sys/kernel/ostype", dir.path() + "/c1/schemata");  // nobody may write it
  std::ofstream(dir.path() + "/info/last_cmd_status") << "bit mask is empty\n";
  const Error error =
      error_of([&] { SchemataChange(dir.path(), dir.path() + "/c1", {.memory_schema = "MB:0=1"}); });
  CHECK_THAT(error.message(), Catch::Contains("schema 'MB:0=1'"));
  CHECK_THAT(error.hint(), Catch::Contains("bit mask is empty"));
}

TEST_CASE("the name of a class leads nowhere else", "[runner][resctrl]") {
  const TempFolder dir;
  for (const char* name : {"..", ".", "a/b", "info", "mon_groups", "mon_data", "a\nb"})
    CHECK(error_of([&] { ResctrlGroup::create(dir.path(), {.class_id = name}, "c1"); }).code() ==
          Errc::invalid);
}

}  // namespace lay::runner
