#!/usr/bin/env bash
# Programs that end while a GPU works: static objects that compute when they are destroyed, threads that go on, children that exit.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
${CXX:-c++} -std=c++20 -O0 -DCOTENANT_STATIC_DISPATCH -DCOTENANT_SERIAL -march=native -I"$root/include" "$root/tests/vulkan/ends/program.cpp" -lvulkan -o "$work/program"
for way in plain static fork thread; do
  echo "== $way"
  timeout 120 "$work/program" "$way"
done
