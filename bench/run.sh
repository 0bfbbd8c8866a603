#!/usr/bin/env bash
# Measures cotenant beside OpenBLAS, BLIS, oneDNN, Eigen and ONNX Runtime, beside PyTorch's tensors and the safetensors loader (from Python), and
# beside the bounds of this machine. Installs them first, all but PyTorch.
#   bench/run.sh                     everything: some minutes
#   bench/run.sh --quick             fewer rounds, no compile times: two minutes once it is built
#   bench/run.sh --threads 1         only on one thread (default: 1,2)
#   bench/run.sh --only matmul,map   only some of: matmul accuracy weights fused threads bf16 int8 int4 softmax map quantize attention models
#                                    dispatch compile sharing
# The calls of a row are taken turn by turn in one process and the medians compared, so that a change of clock or a neighbour meets all
# alike: one thread in its own CPU time, several on the clock of the wall. (Google Benchmark times one function after another; it is not
# used.) The table goes to the terminal, build/bench/results.json and build/bench/speed.svg beside it. A peer that cannot be had is left out.
set -euo pipefail
source "$(dirname "$0")/../tests/environment.sh"

quick=() threads=1,2 only=
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=(--quick) ;;
    --threads) threads=${2:?--threads takes numbers like 1,2}; shift ;;
    --only) only=${2:?--only takes sections like matmul,map}; shift ;;
    *) sed -n '2,12s/^# //p' "$0"; exit 2 ;;
  esac
  shift
done
wants() { [ -z "$only" ] || [[ ",$only," == *",$1,"* ]]; }

# What the environment tells a peer (an administrator may name kernels or threads) is not that peer's own choice.
unset "${!OPENBLAS_@}" "${!BLIS_@}" "${!GOTO_@}" "${!ONEDNN_@}" "${!DNNL_@}" "${!OMP_@}" "${!GOMP_@}"

has_library() { PATH=$PATH:/sbin:/usr/sbin ldconfig -p | grep -q "$1"; }
need_build_tools
install_missing
# The peers: whatever of them cannot be installed is left out.
kernels=false
for section in matmul accuracy weights fused threads bf16 int8 int4 softmax map quantize attention; do if wants $section; then kernels=true; fi; done
if $kernels; then
  need libopenblas-dev "peer: f32 products" has_library libopenblas.so.0
  need libblis-dev "peer: f32 products" has_library libblis.so.4
  need libdnnl-dev "peer: oneDNN" has_header oneapi/dnnl/dnnl.hpp
  need libeigen3-dev "peer: Eigen" has_header eigen3/Eigen/Core
fi
wants models && need python3-venv "peer: ONNX Runtime in an environment of its own" python3 -c 'import ensurepip, venv'
(install_missing) || echo "Peers that are not there are left out."

results=$root/build/bench
mkdir -p "$results"
# make_venv: ONNX Runtime from PyPI, for this benchmark alone.
make_venv() {
  "$results/venv/bin/python" -c 'import numpy, onnx, onnxruntime' 2>/dev/null && return
  python3 -m venv "$results/venv" && "$results/venv/bin/python" -m pip install --disable-pip-version-check --quiet --retries 2 --timeout 30 onnxruntime onnx sympy
}
# find_python: one with PyTorch, whose wheels are gigabytes, is looked for and never installed; safetensors is fetched where there is none.
find_python() {
  local python
  for python in ${COTENANT_BENCH_PYTHON:+"$COTENANT_BENCH_PYTHON"} python3 "$results/peers/bin/python"; do
    "$python" -c 'import torch, safetensors' 2>/dev/null && { peers_python=$python; return; }
  done
  peers_python=$results/peers/bin/python
  "$peers_python" -c 'import numpy, safetensors' 2>/dev/null && return
  python3 -m venv "$results/peers" && "$peers_python" -m pip install --disable-pip-version-check --quiet --retries 2 --timeout 30 numpy safetensors && return
  peers_python=
  return 1
}
models=false
if wants models; then
  step "ONNX Runtime from PyPI into build/bench/venv" make_venv && models=true || echo "ONNX Runtime cannot be had here: encoders are left out."
  step "checkpoint all-MiniLM-L6-v2" get_minilm || echo "The checkpoint cannot be had here: only the encoder with random weights is measured."
fi

build=$root/build/release
step "configure" configure_release -DCOTENANT_BUILD_TESTS=OFF -DCOTENANT_BUILD_EXAMPLES=OFF -DCOTENANT_BUILD_BENCH=ON
targets=()
$kernels && targets+=(bench_kernels)
$models && targets+=(bench_encoder)
wants sharing && targets+=(bench_sharing)
wants dispatch && [ -f "$root/bench/dispatch.cpp" ] && targets+=(bench_dispatch)
if [ ${#targets[@]} -gt 0 ]; then step "build ${targets[*]}" cmake --build "$build" -j "$jobs" --target "${targets[@]}"; fi

# measure FILE COMMAND...: the rows go to FILE; of the progress the terminal shows the latest line, the log all.
begin=$SECONDS status=0
: >"$results/log.txt"
measure() {
  local file=$1
  shift
  "$@" 2> >(tee -a "$results/log.txt" | while IFS= read -r line; do $terminal && printf '\r\033[K%.150s' "$line" || :; done) >"$file" || status=1
  if $terminal; then printf '\r\033[K'; fi
}
rows=()
# A process for each number of threads: oneTBB 2021.8 may leave its workers asleep where a limit of 1 is raised again.
for number in ${threads//,/ }; do
  if $kernels; then
    measure "$results/kernels-$number.jsonl" "$build/bench/kernels" --threads "$number" "${quick[@]}" ${only:+--only "$only"}
    rows+=("$results/kernels-$number.jsonl")
  fi
  $models || continue
  measure "$results/models-$number.jsonl" "$results/venv/bin/python" -B "$root/bench/models/models.py" --library "$build/bench/encoder.so" --work "$results/models" \
    --threads "$number" "${quick[@]}" ${COTENANT_MINILM:+--minilm "$COTENANT_MINILM"}
  rows+=("$results/models-$number.jsonl")
done
if wants sharing; then
  # Checkpoints of some 300 MB, and 100 MB that come and go: on the disk that build/ is on.
  files=$(mktemp -d "$results/sharing.XXXXXX")
  trap 'rm -rf "$files" "$step_log"' EXIT
  measure "$results/sharing-own.jsonl" "$build/bench/sharing" "$files" "${quick[@]}"
  peers_python=
  find_python || echo "Python's safetensors cannot be had here: it is left out."
  cp "$results/sharing-own.jsonl" "$results/sharing.jsonl"
  if [ -n "$peers_python" ]; then
    measure "$results/sharing.jsonl" "$peers_python" -B "$root/bench/sharing/python_peers.py" "$results/sharing-own.jsonl" "$files" "${quick[@]}"
    "$peers_python" -c 'import torch' 2>/dev/null || echo "PyTorch is not installed here: its rows are left out (COTENANT_BENCH_PYTHON names a Python that has it)."
  fi
  rows+=("$results/sharing.jsonl")
fi
measured=$((SECONDS - begin))
# Compiling everything three times takes a minute: --quick does it only when asked to.
if wants compile && [ -x "$root/bench/compile_time.sh" ] && { [ ${#quick[@]} -eq 0 ] || [ -n "$only" ]; }; then
  measure "$results/compile.txt" "$root/bench/compile_time.sh" "${CXX:-g++}"
  # "  what is compiled    1.23 s" as rows; the first is the one with a target: 4 s with g++ 12.
  awk '/ s$/ { time = $(NF - 1); name = $0; sub(/ +[0-9.]+ s$/, "", name); sub(/^ +/, "", name)
               printf "{\"section\": \"compile\", \"shape\": \"%s\", \"threads\": 1, \"unit\": \"s\", \"seconds\": {\"cotenant\": %s}%s}\n", name, time, seen++ ? "" : ", \"limit\": 4" }' \
    "$results/compile.txt" >"$results/compile.jsonl"
  rows+=("$results/compile.jsonl")
fi

echo
[ ${#rows[@]} -eq 0 ] || python3 -B "$root/bench/report.py" "$results" "${rows[@]}"  # none with --only dispatch
if wants dispatch && [ -x "$build/bench/dispatch" ]; then printf '\n' && "$build/bench/dispatch"; fi
echo "$measured s of measuring"
[ $status -eq 0 ] || { grep -E 'differ|below|from ours' "$results/log.txt"; echo "Some results are not as they should be: see build/bench/log.txt"; }
exit $status
