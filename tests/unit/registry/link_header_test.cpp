#include "http/link_header.h"

#include <catch2/catch.hpp>

#include "error_of.h"

using lay::registry::find_link;

TEST_CASE("the forms of RFC 8288 in which a link to the next page may stand", "[registry][link]") {
  for (const char* field : {
           R"(</v2/a/tags/list?last=x>; rel="next")",
           R"(</v2/a/tags/list?last=x>; rel=next)",
           R"(</v2/a/tags/list?last=x>;rel="next")",
           R"(</v2/a/tags/list?last=x> ; REL = "NEXT")",
           R"(</v2/a/tags/list?last=x>; title="a; b, c"; rel="next")",
           R"(</v2/a/tags/list?last=x>; title="say \"next\""; rel="next")",
           R"(</v2/a/tags/list?last=x>; rel="up next")",
           "</v2/a/tags/list?last=x>\t;\trel=\"\tnext \"",
           R"(</v2/a/tags/list?last=x>; flag; rel="next"; flag)",
           R"(</v2/a/tags/list?last=x>;; rel="next")",
           R"(</first>; rel="prev", </v2/a/tags/list?last=x>; rel="next")",
           R"(, ,</first>; rel=prev,</v2/a/tags/list?last=x>; rel=next, </other>; rel=next)",
       }) {
    CAPTURE(field);
    CHECK(find_link(field, "next") == "/v2/a/tags/list?last=x");
  }
}

TEST_CASE("a link that is not to the next page is none", "[registry][link]") {
  for (const char* field : {
           "", "next", "</x>", R"(</next>; rel="prev")", R"(</x>; title="next")",
           R"(</x>; rel="nextone next-page")",
           R"(</x>; rel="prev"; rel="next")",  // the first rel counts
           R"(</x>; rel*="next")", R"(</x>; rel)", R"(</x; rel="next")", R"(/x; rel="next")",
           R"(</x> rel="next")",
           R"(</x>; rel="prev" junk, </y>; rel="next")",  // what cannot be read ends the search
       }) {
    CAPTURE(field);
    CHECK_FALSE(find_link(field, "next").has_value());
  }
}

TEST_CASE("a quoted text without an end goes to the end of the field", "[registry][link]") {
  CHECK(find_link(R"(</x>; rel="next)", "next") == "/x");
  CHECK_FALSE(find_link(R"(</x>; title=", </y>; rel="next)", "next").has_value());
  CHECK_FALSE(find_link("</x>; title=\"\\", "next").has_value());
}

TEST_CASE("a target is given as it stands", "[registry][link]") {
  CHECK(find_link("<>; rel=next", "next") == "");
  CHECK(find_link("<https://h.io/a,b;c?n=1>; rel=next", "next") == "https://h.io/a,b;c?n=1");
}
