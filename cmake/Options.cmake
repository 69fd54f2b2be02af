# Flags that every target of the project is built with.
find_program(CCACHE ccache)
if(CCACHE)  # paths within the project count relative to it, so that every clone shares the cache
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=true
    ${CCACHE})
endif()

add_library(lay_options INTERFACE)
target_compile_options(lay_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Wold-style-cast
  -Wimplicit-fallthrough -Wmissing-declarations -Werror -fstack-protector-strong -fstack-clash-protection
  -fcf-protection)
# Designated initialisers may leave the rest to its defaults
target_compile_options(lay_options INTERFACE -Wno-missing-field-initializers)
target_link_options(lay_options INTERFACE -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,pack-relative-relocs)
target_compile_definitions(lay_options INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64 LAY_VERSION="${PROJECT_VERSION}")

if(LAY_SANITIZE)
  # g++ 12 takes the sanitizers' own checks for uses of uninitialised members.
  target_compile_options(lay_options INTERFACE -O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all
    -fno-omit-frame-pointer -Wno-error)  # so warnings are errors in the other builds only
  target_link_options(lay_options INTERFACE -fsanitize=address,undefined)
  if(LAY_FUZZER)  # what libFuzzer learns from its input's way through the code
    target_compile_options(lay_options INTERFACE -fsanitize=fuzzer-no-link)
  endif()
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_definitions(lay_options INTERFACE _FORTIFY_SOURCE=2)
endif()

# lay_library(NAME SOURCES... [LINKS PUBLIC ... PRIVATE ...]): one library of the tree, headers in include/.
function(lay_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC include)
  # Private headers are found by quotes only: one named like a system header would stand in for it with -I.
  target_compile_options(${name} PRIVATE "SHELL:-iquote ${CMAKE_CURRENT_SOURCE_DIR}")
  target_link_libraries(${name} PUBLIC ${ARG_PUBLIC} PRIVATE lay_options ${ARG_PRIVATE})
endfunction()
