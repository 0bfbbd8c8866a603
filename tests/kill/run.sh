#!/usr/bin/env bash
# Kills writers of a TensorStore at random moments and lets their system calls fail: tests/kill/run.sh [--quick] [N]
#   N           how many kills (10000; with --quick 200, about 5 s)
#   CXX, TMPDIR compiler, and the folder to test in. Without TMPDIR in memory (/dev/shm), where commits are fast enough for
#               most kills to meet one: what a killed process leaves does not depend on the disk
# Exit status 0 only where nothing acknowledged was lost and nothing was there in part.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
kills=10000
for argument in "$@"; do
  case $argument in
    --quick) kills=200 ;;
    *[!0-9]* | '') sed -n '2,6s/^# //p' "$0"; exit 2 ;;
    *) kills=$argument ;;
  esac
done

build=$root/build/kill
mkdir -p "$build"
cxx=(${CXX:-c++} -std=c++20 -O1 -g1 -Wall -Wextra -Wpedantic -Wshadow "-I$root/include" -pthread)
for program in kill faults; do "${cxx[@]}" "$root/tests/kill/programs/$program.cpp" -o "$build/$program" -ldl; done
"${cxx[@]}" -shared -fPIC "$root/tests/kill/programs/interpose.cpp" -o "$build/interpose.so" -ldl

memory=/dev/shm
[ -w "$memory" ] || memory=/tmp
folder=$(mktemp -d "${TMPDIR:-$memory}/cotenant-kill.XXXXXX")
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/faults" "$folder/kill"
LD_PRELOAD=$build/interpose.so "$build/faults" "$folder/faults"
"$build/kill" "$folder/kill" "$kills"
