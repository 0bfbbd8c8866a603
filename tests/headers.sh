#!/usr/bin/env bash
# Compiles each header of include/ alone and twice, warnings as errors: tests/headers.sh [COMPILER [--together]]
#   --together   all of them in one file: seconds instead of minutes
# For one CPU target, which is the same source: every test program compiles the others.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
compiler=${1:-c++}

# Eigen lies in a folder of its own. Where it or Vulkan is not installed what needs it is unusable, not wrong.
eigen=$(pkg-config --cflags-only-I eigen3 2>/dev/null | sed 's/-I/-isystem /g')
vulkan=true
echo '#include <vulkan/vulkan.h>' | $compiler -std=c++20 -fsyntax-only -x c++ - 2>/dev/null || vulkan=false
usable() {
  if [ -z "$eigen" ] && grep -q '#include <Eigen/' "include/$1"; then echo "skipped: $1 needs Eigen" >&2 && return 1; fi
  if ! $vulkan && [[ $1 == cotenant/vulkan* ]]; then echo "skipped: $1 needs Vulkan's headers" >&2 && return 1; fi
}
twice() {  # from stdin
  $compiler -std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Wshadow -Werror -DCOTENANT_STATIC_DISPATCH -Iinclude $eigen -x c++ -
}
one() {
  usable "$1" || return 0
  printf '#include "%s"\n#include "%s"\n' "$1" "$1" | twice || { echo "FAILED: $1 does not compile alone and twice"; return 1; }
}
# -inl.hpp files are compiled through the header that opens the CPU targets.
headers=$(find include -name '*.hpp' ! -name '*-inl.hpp' -printf '%P\n' | sort)
if [ "${2:-}" = --together ]; then
  for header in $headers; do usable "$header" && printf '#include "%s"\n#include "%s"\n' "$header" "$header"; done | twice
  exit
fi
export -f usable twice one
export compiler eigen vulkan
xargs -P "${COTENANT_JOBS:-$(getconf _NPROCESSORS_ONLN)}" -I{} bash -c 'one {}' <<< "$headers"
