#!/usr/bin/env bash
# Runs the manager against a simple model of itself and under 64 threads: tests/soak/run.sh [--quick] [--tsan | --asan] [--seconds S] [--operations N] [--seed N]
#   by default 1000000 operations and 60 seconds; with --quick 20000 and 3
# Exit status 0 only where every answer was the model's, no byte changed, and the memory stayed within the budget.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
flags=(-O2) name=soak arguments=()
for argument in "$@"; do
  case $argument in
    --tsan) flags=(-O1 -g1 -fsanitize=thread) name=soak_tsan ;;
    --asan) flags=(-O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all) name=soak_asan ;;
    --quick | --seconds | --operations | --seed | [0-9]*) arguments+=("$argument") ;;
    *) sed -n '2,4s/^# //p' "$0"; exit 2 ;;
  esac
done
build=$root/build/soak
mkdir -p "$build"
${CXX:-c++} -std=c++20 "${flags[@]}" -Wall -Wextra -Wpedantic -Wshadow "-I$root/include" "-I$root/tests/share" -pthread "$root/tests/soak/programs/soak.cpp" -o "$build/$name"
"$build/$name" ${arguments[@]+"${arguments[@]}"}
