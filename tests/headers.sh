#!/usr/bin/env bash
# Compiles each header of include/ alone and twice, warnings as errors: tests/headers.sh [COMPILER]
# For one CPU target, which is the same source: every test program compiles the others.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
compiler=${1:-c++}

# Eigen lies in a folder of its own. Where it is not installed its adapter is unusable, not wrong.
eigen=$(pkg-config --cflags-only-I eigen3 2>/dev/null | sed 's/-I/-isystem /g')
one() {
  local header=$1
  if [ -z "$eigen" ] && grep -q '#include <Eigen/' "include/$header"; then
    echo "skipped: $header needs Eigen"
    return
  fi
  if ! $vulkan && [[ $header == cotenant/vulkan* ]]; then
    echo "skipped: $header needs Vulkan's headers"
    return
  fi
  printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
    $compiler -std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Wshadow -Werror -DCOTENANT_STATIC_DISPATCH -Iinclude $eigen -x c++ - || { echo "FAILED: $header does not compile alone and twice"; return 1; }
}
vulkan=true
echo '#include <vulkan/vulkan.h>' | $compiler -std=c++20 -fsyntax-only -x c++ - 2>/dev/null || vulkan=false
export -f one
export compiler eigen vulkan
# -inl.hpp files are compiled through the header that opens the CPU targets.
find include -name '*.hpp' ! -name '*-inl.hpp' -printf '%P\n' | sort |
  xargs -P "${COTENANT_JOBS:-$(getconf _NPROCESSORS_ONLN)}" -I{} bash -c 'one {}'
