#!/usr/bin/env bash
# Random cases of every op against plain loops, on the CPU and on a GPU:
#   tests/random/run.sh [--seeds N] [--first N] [--op NAME] [--backend cpu|vulkan] [--plans discrete]
#   --seeds     how many of each op (10000; the tests of every build run 64), and one in eight of them on the GPU
#   --plans     the kernels that a large GPU gets, on whatever device is here
# What fails is made smaller and printed with the seed that brings it back. Exit status 0 only where nothing failed.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
export COTENANT_RANDOM_SEEDS=10000
while [ $# -gt 0 ]; do
  case $1 in
    --seeds) export COTENANT_RANDOM_SEEDS=${2:?how many} ;;
    --first) export COTENANT_RANDOM_FIRST=${2:?which seed} ;;
    --op) export COTENANT_RANDOM_OP=${2:?which op} ;;
    --backend) export COTENANT_RANDOM_BACKEND=${2:?cpu or vulkan} ;;
    --plans) export COTENANT_TEST_VULKAN=${2:?discrete} ;;
    *) sed -n '2,6s/^# *//p' "$0"; exit 2 ;;
  esac
  shift 2
done
build=$root/build/random
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCOTENANT_BUILD_EXAMPLES=OFF -DCOTENANT_BUILD_BENCH=OFF -DCOTENANT_NATIVE_ENCODERS=ON \
  -DCOTENANT_UNITY_TESTS=ON -DCOTENANT_TEST_FOLDERS=random >/dev/null
cmake --build "$build" --target test_random -j "${COTENANT_JOBS:-$(nproc)}"
GALLIVM_PERF=nopt "$build/tests/test_random"
