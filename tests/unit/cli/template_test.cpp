#include "output/template.h"

#include <catch2/catch.hpp>

#include "base/error.h"

using namespace lay;
using namespace lay::cli;

TEST_CASE("templates show members, nested ones and JSON", "[cli][listing]") {
  const Json value{{"Name", "web"}, {"State", {{"Pid", 7}, {"Running", true}}}, {"Env", {"A=1", "B=2"}}};
  CHECK(fill_template("{{.Name}} {{ .State.Pid }}", value) == "web 7");
  CHECK(fill_template("{{json .Env}}", value) == R"(["A=1","B=2"])");
  CHECK(fill_template("{{.Env}}", value) == "[A=1 B=2]");
  CHECK(fill_template("a\\tb {{.State.Running}}", value) == "a\tb true");
  CHECK_THROWS_WITH(fill_template("{{.Nope}}", value), "template: there is no '.Nope'");
  CHECK_THROWS_AS(fill_template("{{.Name", value), Error);
  CHECK_THROWS_AS(fill_template("{{range .Env}}", value), Error);
}

TEST_CASE("templates choose, repeat, count and look up, as Go's do", "[cli][listing]") {
  const Json value{{"Name", "web"},
                   {"Env", {"A=1", "B=2"}},
                   {"None", Json::array()},
                   {"Null", nullptr},
                   {"Ports", {{"80/tcp", {{{"HostPort", "8080"}}}}}},
                   {"Nets", {{"a", {{"IP", "10.0.0.2"}}}, {"b", {{"IP", "10.0.0.3"}}}}}};
  const auto filled = [&](const char* text) { return fill_template(text, value); };
  CHECK(filled("{{range .Env}}<{{.}}>{{end}}") == "<A=1><B=2>");
  CHECK(filled("{{range .Env}}{{println .}}{{end}}") == "A=1\nB=2\n");
  CHECK(filled("{{range .Env}}{{.}}{{\"\\n\"}}{{end}}") == "A=1\nB=2\n");
  CHECK(filled("{{range $k, $v := .Nets}}{{$k}}={{$v.IP}} {{$.Name}};{{end}}") ==
        "a=10.0.0.2 web;b=10.0.0.3 web;");
  CHECK(filled("{{range $i, $e := .Env}}{{$i}}{{end}}") == "01");
  CHECK(filled("{{range .None}}x{{else}}nothing{{end}}") == "nothing");
  CHECK(filled("{{if .Env}}yes{{else}}no{{end}} {{if .None}}yes{{else}}no{{end}}") == "yes no");
  CHECK(filled("{{if .Health}}{{.Health.Status}}{{end}}ok") == "ok");
  CHECK(filled("{{if not .Null}}{{if .Name}}both{{end}}{{end}}") == "both");
  CHECK(filled("{{(index (index .Ports \"80/tcp\") 0).HostPort}}") == "8080");
  CHECK(filled("{{index .Env 1}} {{len .Env}} {{len .Name}} {{len .Null}}") == "B=2 2 3 0");
  CHECK(filled("<{{index .Ports \"81/tcp\"}}> {{json .Null}}") == "<> null");
  CHECK(filled("{{join .Env \"\\n\"}}") == "A=1\nB=2");
  CHECK(filled("a {{- .Name -}} b") == "awebb");
  for (const char* bad :
       {"{{index .Env 2}}", "{{end}}", "{{if .Env}}", "{{else}}", "{{.Name.First}}", "{{nope .Env}}",
        "{{$x}}", "{{(.Name}}", "{{\"open}}", "{{range x := .Env}}{{end}}", "{{}}"}) {
    INFO(bad);
    CHECK_THROWS_AS(filled(bad), Error);
  }
}

TEST_CASE("what is not there is empty in a template, and a name that users do not give is an error",
          "[cli][listing]") {
  const Json value{{"Config", {{"Labels", {{"a", "b"}}}, {"Entrypoint", nullptr}}}, {"Labels", nullptr}};
  const auto filled = [&](const char* text) { return fill_template(text, value); };
  CHECK(filled("<{{.Config.Entrypoint}}>") == "<>");
  CHECK(filled("<{{index .Config.Labels \"nosuch\"}}>") == "<>");
  CHECK(filled("<{{.Config.Labels.nosuch}}> {{.Config.Labels.a}}") == "<> b");
  CHECK(filled("<{{.Labels.nosuch}}>") == "<>");
  CHECK(filled("{{if eq (index .Config.Labels \"nosuch\") \"\"}}none{{end}}") == "none");
  CHECK_THROWS_WITH(filled("{{.Config.Labls.a}}"), "template: there is no '.Labls'");
}

TEST_CASE("templates compare, format and hand on, as Go's do", "[cli][listing]") {
  const Json value{{"ID", "0123456789ab"},
                   {"Name", "wéb"},
                   {"State", {{"Status", "exited"}, {"ExitCode", 3}, {"Running", false}}},
                   {"Env", {"A=1", "B=2"}},
                   {"Labels", {{"a", "b"}}},
                   {"Null", nullptr}};
  const auto filled = [&](const char* text) { return fill_template(text, value); };
  CHECK(filled("{{if eq .State.Status \"exited\"}}yes{{else}}no{{end}}") == "yes");
  CHECK(filled("{{eq .State.ExitCode 0 3}} {{ne .State.ExitCode 3}} {{gt .State.ExitCode 2}}") ==
        "true false true");
  CHECK(filled("{{le .State.ExitCode 3}} {{lt .State.ExitCode -1}} {{eq .State.Running false}}") ==
        "true false true");
  CHECK(filled("{{if and .Name (not .State.Running)}}ended{{end}}") == "ended");
  CHECK(filled("{{or .Null .Name}} {{and .Name .ID}}") == "wéb 0123456789ab");
  CHECK(filled("{{if .Null}}a{{else if eq .Name `wéb`}}b{{else}}c{{end}}") == "b");
  CHECK(filled("{{if .Null}}a{{else if .Null}}b{{else}}c{{end}}") == "c");
  CHECK(filled("{{if .Name}}a{{else if .Nope.Nope}}b{{else}}c{{end}}!") == "a!");
  CHECK(filled("{{with .State}}{{.Status}} {{.ExitCode}}{{end}}") == "exited 3");
  CHECK(filled("{{with .Null}}x{{else}}none of {{.Name}}{{end}}") == "none of wéb");
  CHECK(filled("{{with $s := .State}}{{$s.Status}}{{end}}") == "exited");
  CHECK(filled("{{.Name | json}} {{.Env|len}} {{.ID | printf \"%.3s\"}}") == "\"wéb\" 2 012");
  CHECK(filled("{{join .Env \"|\" | lower | printf \"%s\"}}") == "a=1|b=2");
  CHECK(filled("{{printf \"%-5s|%5s|%.2s\" .Name .Name .Name}}") == "wéb  |  wéb|wé");
  CHECK(filled("{{printf `%d %03d %t %q %v%%` 7 7 true .Name .Env}}") == "7 007 true \"wéb\" [A=1 B=2]%");
  CHECK(filled("{{`a\\n\"b`}} {{\"a\\\"b}\\\\\"}}") == "a\\n\"b a\"b}\\");
  CHECK(filled("{{range split \"a,b\" \",\"}}<{{.}}>{{end}}") == "<a><b>");
  CHECK(filled("{{.Label \"a\"}}<{{.Label \"c\"}}>") == "b<>");
  for (const char* bad :
       {"{{eq .Name}}", "{{.Name |}}", "{{| json}}", "{{.Name | .ID}}", "{{printf \"%d\" .Name}}",
        "{{printf \"%s\"}}", "{{printf \"x\" 1}}", "{{printf \"%\"}}", "{{printf \"%y\" 1}}",
        "{{lt .Name 1}}", "{{`open}}", "{{\"\\q\"}}", "{{with .Name}}", "{{json}}",
        "{{if .Null}}{{else range .Env}}{{end}}", "{{printf \"%99999s\" .Name}}"}) {
    INFO(bad);
    CHECK_THROWS_AS(filled(bad), Error);
  }
}

TEST_CASE("and, or evaluate no argument behind the one that decides", "[cli][listing]") {
  const Json value{{"None", Json::array()}, {"Some", {"a"}}};
  const std::string first = "(eq (index .None 0) \"a\")";
  CHECK(fill_template("{{if and .None " + first + "}}yes{{else}}no{{end}}", value) == "no");
  CHECK(fill_template("{{if or .Some " + first + "}}yes{{end}}", value) == "yes");
  CHECK_THROWS_AS(fill_template("{{if and .Some " + first + "}}yes{{end}}", value), Error);
  CHECK_THROWS_AS(fill_template("{{and}}", value), Error);
}

TEST_CASE("a variable of with is there up to its end, where the outer one comes back", "[cli][listing]") {
  const Json value{{"List", {"a", "b"}}, {"Name", "n"}};
  CHECK(
      fill_template("{{range $i, $x := .List}}{{if eq $i 9}}{{with $x := .Name}}{{end}}{{end}}{{$x}}{{end}}",
                    value) == "ab");
  CHECK(fill_template("{{range $x := .List}}{{with $x := $.Name}}{{$x}}{{end}}{{$x}}{{end}}", value) ==
        "nanb");
  CHECK_THROWS_AS(fill_template("{{with $x := .Name}}{{end}}{{$x}}", value), Error);
}

TEST_CASE("a template has variables of its own, up to the end of the block", "[cli][listing]") {
  const Json value{{"List", {"a", "b"}}, {"Name", "n"}};
  const auto filled = [&](const char* text) { return fill_template(text, value); };
  CHECK(filled("{{$x := .Name}}{{$x}}{{$x}}") == "nn");
  CHECK(filled("{{$x:=.List}}{{index $x 1}} {{range $x}}{{.}}{{end}}") == "b ab");
  CHECK(filled("{{$x := 1}}{{if .Name}}{{$x := 2}}{{$x}}{{end}}{{$x}}") == "21");
  CHECK(filled("{{$x := 1}}{{range .List}}{{$x = .}}{{end}}{{$x}}") == "b");
  CHECK(filled("{{$x := `o`}}{{if false}}{{$x = `i`}}{{$y := .Nope}}{{end}}{{$x}}") == "o");
  for (const char* bad : {"{{$x}}{{$x := 1}}", "{{if .Name}}{{$x := 1}}{{end}}{{$x}}", "{{$x = 1}}",
                          "{{$x := }}", "{{$ := 1}}", "{{$x := .Nope}}"}) {
    INFO(bad);
    CHECK_THROWS_AS(filled(bad), Error);
  }
}

TEST_CASE("templates print, slice, and pass over comments, as Go's do", "[cli][listing]") {
  const Json value{{"ID", "0123456789ab"}, {"List", {"a", "b", "c"}}, {"Pid", 7}};
  const auto filled = [&](const char* text) { return fill_template(text, value); };
  CHECK(filled("{{print .ID .Pid 8 true `x` 9}}") == "0123456789ab7 8 truex9");
  CHECK(filled("{{print}}{{println}}{{println .ID .Pid}}") == "\n0123456789ab 7\n");
  CHECK(filled("{{slice .ID 0 4}} {{slice .ID 10}} {{slice .List 1 2}} {{slice .ID}}") ==
        "0123 ab [b] 0123456789ab");
  CHECK(filled("a{{/* a }} in it */}}b {{- /* both */ -}} c") == "abc");
  CHECK(filled("a {{-\t.Pid\n-}} b") == "a7b");
  for (const char* bad : {"{{slice .ID 3 2}}", "{{slice .ID 13}}", "{{slice .Pid 0}}", "{{slice .ID -1}}",
                          "{{slice .ID `a`}}", "{{/* open }}", "{{/* more */ .ID}}", "{{- -}}"}) {
    INFO(bad);
    CHECK_THROWS_AS(filled(bad), Error);
  }
}

TEST_CASE("what is wrong in a template is told with its place", "[cli][listing]") {
  const Json value{{"Name", "wéb"}, {"List", {"a"}}};
  const auto message = [&](const char* text) {
    try {
      fill_template(text, value);
    } catch (const Error& error) {
      return error.message();
    }
    return std::string();
  };
  CHECK(message("é{{.Name}} {{.Nope}}") == "at character 12 of the format: template: there is no '.Nope'");
  CHECK(message("{{range .List}}{{nope}}{{end}}") ==
        "at character 16 of the format: template: 'nope' is not understood");
  CHECK(message("a{{if .Name}}{{.Name}}") ==
        "at character 2 of the format: template: 'if', 'with' or 'range' without {{end}}");
  CHECK(message("a{{end}}") == "at character 2 of the format: template: 'end' is not understood");
  CHECK(message("ab{{.Name") == "at character 3 of the format: template: '{{' without '}}'");
}

TEST_CASE("a template shows what a container wrote without what a terminal would obey", "[cli][listing]") {
  const Json value{{"List", {"a\x1b[2Jb"}}};
  for (const char* text : {"{{.List}}", "{{range .List}}{{.}}{{end}}", "{{join .List \" \"}}",
                           "{{range .List}}{{println .}}{{end}}", "{{index .List 0}}", "{{.List | println}}",
                           "{{index .List 0 | lower}}", "{{printf \"%s %v\" (index .List 0) .List}}",
                           "{{or (index .List 0) 1}}", "{{range split (index .List 0) \"[\"}}{{.}}{{end}}"})
    CHECK(fill_template(text, value).find('\x1b') == std::string::npos);
}
