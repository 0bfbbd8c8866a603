#!/usr/bin/env bash
# Measures how long programs that use cotenant compile: bench/compile_time.sh [compiler]; median of 3, user + system seconds.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
compiler=${1:-g++}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

call='auto y = ct::matmul(a, b, [](auto acc, auto c) { return gelu(acc + c); }, bias);
  auto p = ct::softmax(y, -1);
  return ct::map([](auto x) { return tanh(x) * 2.f; }, p);'
write() { # <file> <header> <body>
  printf '#include <cotenant/%s>\nnamespace ct = cotenant;\nct::SharedTensor<float> f(const ct::SharedTensor<float>& a, const ct::SharedTensor<float>& b, const ct::SharedTensor<float>& bias) {\n  %s\n}\n' \
    "$2" "$3" >"$folder/$1.cpp"
}
write all cotenant.hpp "$call"
write cpu cpu/cpu.hpp "$call"
write matmul cpu/cpu.hpp 'return ct::matmul(a, b, [](auto acc, auto c) { return gelu(acc + c); }, bias);'
write softmax cpu/cpu.hpp 'static_cast<void>(b), static_cast<void>(bias); return ct::softmax(a, -1);'
write map cpu/cpu.hpp 'static_cast<void>(b), static_cast<void>(bias); return ct::map([](auto x) { return tanh(x) * 2.f; }, a);'
write include cotenant.hpp 'return static_cast<void>(b), static_cast<void>(bias), a;'
write gpu vulkan.hpp 'static_cast<void>(bias); return ct::matmul(a, b);'
sed -i 's/SharedTensor<float>/SharedTensor<float, ct::Vulkan>/g' "$folder/gpu.cpp"

measure() { # <name> <file> <flags...>
  local name=$1 file=$2 times=()
  shift 2
  for _ in 1 2 3; do
    local TIMEFORMAT='%U %S'
    times+=("$({ time "$compiler" -std=c++20 -O2 -I "$root/include" "$@" -c "$folder/$file.cpp" -o "$folder/out.o"; } 2>&1 | tail -1 | awk '{print $1 + $2}')")
  done
  printf '  %-52s %5.2f s\n' "$name" "$(printf '%s\n' "${times[@]}" | sort -n | sed -n 2p)"
}
echo "Compile time with $("$compiler" --version | head -1), -O2, all CPU targets unless said:"
measure 'one matmul, one softmax, one map; cotenant.hpp' all
measure 'the same, cpu/cpu.hpp' cpu
measure 'the same, cpu/cpu.hpp, one CPU target' cpu -DCOTENANT_STATIC_DISPATCH -march=native
measure 'one matmul, cpu/cpu.hpp' matmul
measure 'one softmax, cpu/cpu.hpp' softmax
measure 'one map, cpu/cpu.hpp' map
measure 'cotenant.hpp alone' include
if echo '#include <vulkan/vulkan.h>' | "$compiler" -fsyntax-only -x c++ - 2>/dev/null; then
  measure 'one matmul on a GPU, linked with cotenant::vulkan' gpu -DCOTENANT_VULKAN_SEPARATE
  cp "$root/include/cotenant/vulkan.cpp" "$folder/device.cpp"
  measure 'the device, compiled once for that' device -DCOTENANT_VULKAN_SEPARATE
  measure 'one matmul on a GPU, header-only' gpu
  measure 'the same, not optimised' gpu -O0
fi
