#!/usr/bin/env bash
# Checks that each header of include/cotenant/ has a test file with test cases at the mirrored path under tests/: tests/mirror.sh
set -euo pipefail
cd "$(dirname "$0")/.."
missing=0
# -inl.hpp files are tested through the header that opens the CPU targets; the umbrellas by odr.cpp and by programs.
while read -r header; do
  test=tests/${header%.hpp}.cpp
  if ! grep -qs TEST_CASE "$test"; then
    echo "include/cotenant/$header has no test: write $test"
    missing=$((missing + 1))
  fi
done < <(find include/cotenant -name '*.hpp' ! -name '*-inl.hpp' ! -path include/cotenant/cotenant.hpp ! -path include/cotenant/vulkan.hpp -printf '%P\n' | sort)
[ $missing -eq 0 ]
