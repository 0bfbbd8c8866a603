#!/usr/bin/env bash
# Feeds readers of untrusted bytes with what libFuzzer makes up, under AddressSanitizer and UBSan (needs clang):
#   tests/fuzz/run.sh [--seconds N] [TARGET...]   N seconds (60) for each target, or for those named; a long run: --seconds 36000
# What is found is kept in build/fuzz/<target>-*; inputs that reach new code in build/fuzz/corpus/<target>.
# Exit status 0 only where nothing was found.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
seconds=60
targets=()
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=${2:?how many seconds}; shift 2 ;;
    -*) sed -n '2,5s/^# *//p' "$0"; exit 2 ;;
    *) targets+=("$1"); shift ;;
  esac
done
if [ ${#targets[@]} -eq 0 ]; then
  for source in "$root"/tests/fuzz/targets/*.cpp; do targets+=("$(basename "$source" .cpp)"); done
fi

# Each target is one thread: as many at once as there are cores.
if [ ${#targets[@]} -gt 1 ]; then
  printf '%s\n' "${targets[@]}" | xargs -n 1 -P "${COTENANT_JOBS:-$(nproc)}" "$0" --seconds "$seconds"
  exit
fi

build=$root/build/fuzz
clang=${CLANGXX:-clang++}
launcher=()
command -v ccache >/dev/null && launcher=(ccache)
# Frames that a stranger wrote are unpacked where libzstd is there.
zstd=() zstd_library=()
if echo '#include <zstd.h>' | "$clang" -fsyntax-only -x c++ - 2>/dev/null; then zstd=(-DCOTENANT_ZSTD) zstd_library=(-lzstd); fi
failed=()
for target in "${targets[@]}"; do
  source=$root/tests/fuzz/targets/$target.cpp
  [ -f "$source" ] || { echo "there is no target '$target': tests/fuzz/targets has $(cd "$root/tests/fuzz/targets" && echo *.cpp)" >&2; exit 2; }
  mkdir -p "$build/corpus/$target"
  # Compiled apart from linking, so that ccache may help.
  "${launcher[@]}" "$clang" -std=c++20 -O1 -g1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Wall -Wextra -Wpedantic -Wshadow \
    ${zstd[@]+"${zstd[@]}"} "-I$root/include" -c "$source" -o "$build/$target.o"
  "$clang" -fsanitize=fuzzer,address,undefined "$build/$target.o" -o "$build/$target" -pthread ${zstd_library[@]+"${zstd_library[@]}"}
  seeds=()
  for folder in "$root/tests/data/fuzz/$target" "$root/tests/data/$target"; do [ ! -d "$folder" ] || seeds+=("$folder"); done
  begin=$SECONDS status=0
  "$build/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=4096 -use_value_profile=1 -print_final_stats=1 \
    -artifact_prefix="$build/$target-" "$build/corpus/$target" ${seeds[@]+"${seeds[@]}"} >"$build/$target.log" 2>&1 || status=$?
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$target.log")
  reached=$(grep -oE 'cov: [0-9]+' "$build/$target.log" | tail -n 1)
  if [ $status -eq 0 ]; then
    echo "  ok   $target: ${runs:-?} inputs in $((SECONDS - begin)) s, $reached"
  else
    echo " FAIL  $target: status $status"
    grep -nE 'ERROR|runtime error|does not hold|Test unit written|^    #[0-9] ' "$build/$target.log" | head -n 30 | sed 's/^/    | /'
    failed+=("$target")
  fi
done
[ ${#failed[@]} -eq 0 ]
