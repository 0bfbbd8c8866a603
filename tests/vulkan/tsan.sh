#!/usr/bin/env bash
# The tests of the Vulkan backend in which threads meet, under ThreadSanitizer, on whatever device is here. CXX chooses the compiler.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-std=c++20 -O1 -g1 -fsanitize=thread -I"$root/include" -I"$root/tests")
objects=()
for name in main vulkan/sanitizers vulkan/stream vulkan/staging vulkan/pipelines vulkan/memory_pool vulkan/copy_threads; do
  objects+=("$work/${name//\//_}.o")
  ${CXX:-c++} "${flags[@]}" -c "$root/tests/$name.cpp" -o "${objects[-1]}" &
  [ "$(jobs -rp | wc -l)" -lt "${COTENANT_JOBS:-$(nproc)}" ] || wait -n
done
wait
${CXX:-c++} "${flags[@]}" "${objects[@]}" -lvulkan -ldl -o "$work/tests"
# The layer's own threads and locks are not instrumented: its checks are the other builds'.
COTENANT_TEST_VULKAN=plain TSAN_OPTIONS=halt_on_error=1 "$work/tests" --no-colors=true
