#include <sys/mount.h>

#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <utility>

#include "base/mount.h"
#include "layers/layer_folder.h"
#include "overlay_fixture.h"
#include "store_support.h"
#include "tree_description.h"

/// What a layer has to keep, each kind by itself: upper, tar, both forms, the merged view, and the same tar
/// again.
namespace lay::layerstore {

namespace {

using test::apply_to;
using test::describe_tree;
using test::diff_of;
using test::OverlayMount;
using test::run_in;
using test::TreeDescription;

struct Kind {
  const char* what;
  const char* upper;         ///< script that makes the upper
  const char* options = "";  ///< with which the kernel understands it
};

constexpr const char* kLower = R"sh(
mkdir -p removed/inner replaced kept/inner; echo 1 > removed/inner/file; echo 2 > replaced/old; echo 3 > kept/a
echo 4 > kept/b; echo 5 > kept/inner/c; echo 6 > file
)sh";

constexpr Kind kKinds[] = {
    {"owners beyond 16 and 21 bits",
     "touch a b c d; mkdir e; ln -s x f; mkfifo g; chown 65535:65536 a; chown 65536:65535 b; chown "
     "2097151:2097152 c; "
     "chown 4294967294:4294967293 d; chown 3000000000:70000 e; chown -h 2097152:4294967294 f; chown 70000:1 "
     "g"},
    {"suid, sgid and sticky",
     "for m in 0 1 111 644 1000 1777 2755 4755 6755 7777; do touch f$m; chmod $m f$m; mkdir d$m; chmod $m "
     "d$m; done"},
    {"times before 1970 and after 2038",
     "touch a b c d e; mkdir f; touch -d @-1 a; touch -d @-2147483648 b; touch -d @2147483648 c; touch -d "
     "@4294967296 d; "
     "touch -d '2446-05-10 00:00:00 UTC' e; ln -s x g; touch -h -d @-86400 g; touch -d @-1000000000 f"},
    {"extended attributes up to what the kernel takes",
     "touch many; for i in $(seq 150); do setfattr -n user.$i -v $i many; done; mkdir d; ln -s x l\n"
     "python3 -c 'import os\nfor n in (1, 255, 4096, 65535): open(f\"f{n}\", \"w\"); os.setxattr(f\"f{n}\", "
     "\"trusted.big\", "
     "bytes(i % 251 for i in range(n)))\nos.setxattr(\"d\", \"trusted.\" + \"n\" * 247, b\"\\0\\n=\")\n"
     "os.setxattr(\"l\", \"trusted.l\", b\"\", follow_symlinks=False)'"},
    {"file capabilities",
     "cp /bin/true a; setcap cap_net_raw+ep a; cp /bin/true b; setcap cap_net_raw,cap_sys_admin+eip b\n"
     "setcap -n 100000 cap_net_raw+ep b; chown 5:6 a; setcap cap_chown=p a"},
    {"POSIX ACLs",
     "touch a; mkdir d; setfacl -m u:33:rw,g:70000:r,m::rwx a; setfacl -m d:u:33:rwx,d:o::-,u:4000000000:x "
     "d; mkdir d/sub; "
     "touch d/sub/file"},
    {"hard links",
     "mkdir -p d/e; echo x > d/e/z; ln d/e/z a; ln d/e/z d/b; ln -s x s; ln s s2; mkfifo p; ln p d/p; mknod "
     "n c 1 3; ln n m; "
     "chmod 4755 a; setfattr -n user.k -v v a"},
    {"symlinks of up to 4,095 bytes",
     "for n in 1 99 100 101 4094 4095; do ln -s $(head -c $n /dev/zero | tr '\\0' x) l$n; done; "
     "ln -s \"$(printf 'bad\\377\\nname')\" odd; ln -s / root; ln -s ../../.. up"},
    {"names of 255 bytes in any encoding",
     "cd_deep() { mkdir $1; cd $1; }; n=$(printf 'n%.0s' $(seq 255)); cd_deep $n; cd_deep $n; : > $n; cd "
     "../..\n"
     "python3 -c 'import os\nfor n in (b\"\\xff\" * 255, \"\\u00fc\".encode() * 127, "
     "\"\\u00fc\".encode(\"latin1\") * 3, b\"a\\nb\", "
     "b\" \", b\"\\\\x\", bytes(range(1, 47)), bytes(range(48, 256))): open(n, \"w\")'"},
    {"a file beyond 8 GiB",
     "truncate -s 9G f; printf x | dd of=f bs=1M oflag=seek_bytes seek=8600000000 conv=notrunc status=none"},
    {"devices and fifos",
     "mknod a c 1 3; mknod b b 259 1048575; mknod c c 4095 0; mknod d c 0 1; mknod e b 0 0; mkfifo f; chmod "
     "600 a b; "
     "chown 70000:80000 c f"},
    {"removals and opaque folders",
     "mknod removed c 0 0; mknod file c 0 0; mkdir replaced; echo new > replaced/new; "
     "setfattr -n trusted.overlay.opaque -v y replaced; mkdir kept; mknod kept/a c 0 0"},
    {"removals of the notation by extended attribute",
     "touch file; mkdir replaced kept; setfattr -n trusted.overlay.opaque -v y replaced; echo new > "
     "replaced/new; "
     "touch kept/a kept/empty; setfattr -n trusted.overlay.whiteout -v y kept/a; setfattr -n "
     "trusted.overlay.opaque -v x kept"},
    {"opaque folders and removals of the notation without privilege",
     "mknod removed c 0 0; mkdir replaced kept; setfattr -n user.overlay.opaque -v y replaced; echo new > "
     "replaced/new; "
     "touch kept/a kept/empty; setfattr -n user.overlay.whiteout -v y kept/a; setfattr -n "
     "user.overlay.opaque -v x kept",
     ",userxattr"},
};

/// Folders in memory, where extended attributes may be as long as the kernel takes them; or on disk.
class Place {
 public:
  explicit Place(bool in_memory) {
    if (in_memory) memory_.emplace("100m");
    run_in(root(), "mkdir lower upper merged image; mkdir -m 700 layer");
  }
  std::string path(const std::string& name) const { return root() + "/" + name; }

  TreeDescription shown_with(const std::string& top, const std::string& options = "") const {
    const OverlayMount mount("ro,lowerdir=" + path(top) + ":" + path("lower") + options, path("merged"));
    return describe_tree(path("merged"));
  }

 private:
  const std::string& root() const { return memory_ ? memory_->path() : disk_.path(); }

  test::TempFolder disk_;
  std::optional<test::SmallDisk> memory_;
};

/// The mounted form of a tar, put on a folder.
class AttachedForm {
 public:
  AttachedForm(const std::string& tar, std::string at) : form_(tar, test::image_of(tar)), at_(std::move(at)) {
    attach_mount(form_.root(), sys::open_at(sys::cwd(), at_, O_PATH | O_DIRECTORY));
  }
  ~AttachedForm() { ::umount2(at_.c_str(), MNT_DETACH); }
  AttachedForm(const AttachedForm&) = delete;
  AttachedForm& operator=(const AttachedForm&) = delete;

 private:
  test::MountedForm form_;
  std::string at_;
};

}  // namespace

TEST_CASE("every kind of entry survives both forms, the merged view and another commit",
          "[layerstore][fidelity]") {
  for (const Kind& kind : kKinds) {
    INFO(kind.what);
    const Place place(std::string(kind.what).find("attributes up to") != std::string::npos);
    run_in(place.path("lower"), kLower);
    run_in(place.path("upper"), kind.upper);
    const TreeDescription expected = place.shown_with("upper", kind.options);
    const std::string tar = diff_of(place.path("upper"));
    apply_to(place.path("layer"), tar);  // compares both forms
    CHECK(place.shown_with("layer") == expected);
    CHECK((diff_of(place.path("layer")) == tar));
    const AttachedForm mounted(tar, place.path("image"));
    CHECK(place.shown_with("image") == expected);
    CHECK((diff_of(place.path("image")) == tar));
  }
}

TEST_CASE("an attribute of 65,536 bytes, one more than can be mounted, is kept by unpacking its layer",
          "[layerstore][fidelity]") {
  const test::SmallDisk memory("20m");
  run_in(memory.path(),
         "mkdir upper; mkdir -m 700 layer; touch upper/f; "
         "python3 -c 'import os; os.setxattr(\"upper/f\", \"trusted.big\", b\"v\" * 65536)'");
  const std::string tar = diff_of(memory.path() + "/upper");
  StringSource source(tar);
  write_layer_folder(sys::open_dir(sys::cwd(), memory.path() + "/layer"), source, LayerForm::erofs);
  CHECK(find_layer_form(sys::open_dir(sys::cwd(), memory.path()), "layer") == LayerForm::tree);
  CHECK((diff_of(memory.path() + "/layer/tree") == tar));
}

}  // namespace lay::layerstore
