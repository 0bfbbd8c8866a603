#!/usr/bin/env bash
# Measures the Vulkan backend beside PyTorch (cuBLAS, cuDNN) on the GPU of this machine, topic by topic: one table, and speed.svg beside it.
#   bench/gpu.sh [--programs DIR] [TOPIC...]
# TOPIC: execution bert products rows element_wise. --programs takes programs built elsewhere; else they are built first.
# Needs libvulkan and the GPU's driver; where python3 has no PyTorch with CUDA, the peers' columns stay empty.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
programs= topics=()
while [ $# -gt 0 ]; do
  case $1 in
    --programs) programs=${2:?--programs takes a folder}; shift ;;
    -*) sed -n '2,5s/^# //p' "$0"; exit 2 ;;
    *) topics+=("$1") ;;
  esac
  shift
done
[ ${#topics[@]} -gt 0 ] || topics=(execution bert products rows element_wise)

results=${COTENANT_BENCH_RESULTS:-$root/build/bench/gpu}
mkdir -p "$results"
if [ -z "$programs" ]; then
  programs=$results/programs
  mkdir -p "$programs"
  for topic in "${topics[@]}"; do
    echo "build $topic"
    cpu=()  # bert checks its results against the CPU's
    [ "$topic" != bert ] || cpu=(-march=native -DCOTENANT_STATIC_DISPATCH -ltbb)
    ${CXX:-g++} -std=c++20 -O2 -I"$root/include" -I"$root" "$root/bench/gpu/$topic.cpp" -o "$programs/$topic" -lvulkan -lpthread "${cpu[@]}"
  done
fi
peers=false
python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null && peers=true || echo "No PyTorch with CUDA here: the peers are left out."

# One after the other on a GPU that is ours alone: each warms the clocks up by itself before it measures.
files=()
for topic in "${topics[@]}"; do
  "$programs/$topic" >"$results/$topic.jsonl"
  files+=("$results/$topic.jsonl")
  $peers && [ -f "$root/bench/gpu/$topic.py" ] || continue
  python3 -B "$root/bench/gpu/$topic.py" >"$results/$topic-peer.jsonl"
  files+=("$results/$topic-peer.jsonl")
done
python3 -B "$root/bench/gpu/report.py" --chart "$results/speed.svg" "${files[@]}"
