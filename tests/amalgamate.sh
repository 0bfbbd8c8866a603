#!/usr/bin/env bash
# Checks that single_include/amalgamate.py refuses what breaks the rules of include/, and says so: one fault at a time in a copy.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

# refuses REGEX NAME TEXT: a header include/cotenant/NAME of that text, which the umbrella includes, must give a message that matches.
refuses() {
  local regex=$1 name=$2 text=$3 output
  rm -rf "$work/tree"
  mkdir -p "$work/tree/single_include"
  cp -r "$root/include" "$work/tree/include"
  cp "$root/single_include/amalgamate.py" "$work/tree/single_include/"
  mkdir -p "$work/tree/include/cotenant/$(dirname "$name")"
  printf '%b' "$text" >"$work/tree/include/cotenant/$name"
  printf '#include "cotenant/%s"\n' "$name" >>"$work/tree/include/cotenant/cotenant.hpp"
  if output=$(python3 "$work/tree/single_include/amalgamate.py" 2>&1); then
    echo "FAILED: accepted a header that should give: $regex"
    status=1
  elif ! grep -qE "$regex" <<<"$output"; then
    printf 'FAILED: refused without saying: %s\n%s\n' "$regex" "$output"
    status=1
  fi
}
guarded() { printf '// A header.\\n#ifndef %s\\n#define %s\\n%s\\n#endif\\n' "$1" "$1" "$2"; }

refuses 'fault.hpp:4: core/ \(floor 0\) includes ops/ \(floor 2\)' core/fault.hpp "$(guarded COTENANT_CORE_FAULT_HPP '#include "cotenant/ops/matmul.hpp"')"
refuses 'reference/ includes cpu/ on the same floor: never sideways' reference/fault.hpp "$(guarded COTENANT_REFERENCE_FAULT_HPP '#include "cotenant/cpu/cpu.hpp"')"
refuses 'cyclic include: .*fault.hpp -> .*fault.hpp' core/fault.hpp "$(guarded COTENANT_CORE_FAULT_HPP '#include "cotenant/core/fault.hpp"')"
refuses 'no guard: begin with #ifndef COTENANT_CORE_FAULT_HPP' core/fault.hpp '// A header.\nint x;\n'
refuses 'no guard' core/fault.hpp "$(guarded COTENANT_CORE_OTHER_HPP 'int x;')"
refuses 'fault.hpp:2: #pragma once' core/fault.hpp '// A header.\n#pragma once\n'
refuses 'the first line is a comment' core/fault.hpp '#ifndef COTENANT_CORE_FAULT_HPP\n#define COTENANT_CORE_FAULT_HPP\n#endif\n'
refuses '"cotenant/core/absent.hpp" does not exist' core/fault.hpp "$(guarded COTENANT_CORE_FAULT_HPP '#include "cotenant/core/absent.hpp"')"
refuses 'write the path from include/' core/fault.hpp "$(guarded COTENANT_CORE_FAULT_HPP '#include "config.hpp"')"
refuses 'its guard toggles' cpu/fault-inl.hpp "$(guarded COTENANT_CPU_FAULT_INL_HPP 'int x;')"
refuses 'has no floor' cellar/fault.hpp "$(guarded COTENANT_CELLAR_FAULT_HPP 'int x;')"
refuses 'a second header includes <hwy/foreach_target.h>' cpu/fault.hpp "$(guarded COTENANT_CPU_FAULT_HPP '#include <hwy/foreach_target.h>')"
exit $status
