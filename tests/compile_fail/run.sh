#!/usr/bin/env bash
# Checks that a file of this folder does not compile, and that every compiler here says why: tests/compile_fail/run.sh FILE...
# Each file's lines "// expect: REGEX" must all match the compiler's output; "// expect: compiles" asks for the opposite.
set -uo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
export LC_ALL=C  # messages in English, quotes in ASCII
status=0
for file in "$@"; do
  for compiler in "${CXX:-g++}" clang++; do
    command -v "$compiler" >/dev/null || continue
    # g++ 12 explains a failed concept only to this depth.
    depth=()
    "$compiler" --version | grep -q clang || depth=(-fconcepts-diagnostics-depth=3)
    output=$("$compiler" -std=c++20 -fsyntax-only ${depth[@]+"${depth[@]}"} -I"$root/include" "$file" 2>&1) && compiled=true || compiled=false
    expected=$(sed -n 's|^// expect: ||p' "$file")
    problem=
    if [ -z "$expected" ]; then
      problem="has no line '// expect: '"
    elif [ "$expected" = compiles ]; then
      $compiled || problem="must compile"
    elif $compiled; then
      problem="compiles, but must not"
    else
      while IFS= read -r regex; do grep -qE "$regex" <<<"$output" || problem="fails without saying: $regex"; done <<<"$expected"
    fi
    if [ -n "$problem" ]; then
      printf 'FAILED: %s with %s %s\n%s\n' "$(basename "$file")" "$compiler" "$problem" "$output"
      status=1
    fi
  done
done
exit $status
