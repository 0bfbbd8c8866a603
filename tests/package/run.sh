#!/usr/bin/env bash
# Builds and runs a small program against cotenant, once per way of using it.
#   tests/package/run.sh           all ways
#   tests/package/run.sh --list    their names
#   tests/package/run.sh NAME...   those
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
program=$root/tests/package/program
compiler=${CXX:-c++}
flags=(-std=c++20 -O1 -Wall -Wextra -Wpedantic)

add_subdirectory() {
  cmake -S "$root/tests/package/add_subdirectory" -B build -G Ninja -DCOTENANT_SOURCE="$root" -DPROGRAM="$program" -DCMAKE_CXX_FLAGS=-O1
  cmake --build build && build/program
}
installed_find_package() {
  with_find_package find_package -O1
}
# The installed files, used without any build system; the tree is moved first, as packagers do.
installed_pkg_config() {
  install_with_cmake
  mv prefix moved
  with_pkg_config moved
}
with_find_package() {  # PROJECT FLAGS
  install_with_cmake
  cmake -S "$root/tests/package/$1" -B build -G Ninja -DCMAKE_PREFIX_PATH="$PWD/prefix" -DPROGRAM="$program" -DCMAKE_CXX_FLAGS="$2"
  cmake --build build && build/program
}
install_with_cmake() {
  cmake -S "$root" -B cotenant -G Ninja -DCOTENANT_BUILD_TESTS=OFF -DCOTENANT_BUILD_EXAMPLES=OFF -DCOTENANT_BUILD_BENCH=OFF
  cmake --install cotenant --prefix "$PWD/prefix"
}
with_pkg_config() {  # PREFIX
  local options
  options=$(PKG_CONFIG_PATH=$PWD/$1/share/pkgconfig pkg-config --cflags --libs cotenant)
  # shellcheck disable=SC2086 # a list of options
  "$compiler" "${flags[@]}" "$program/both.cpp" $options -o program && ./program
}
meson_subproject() {
  mkdir -p subprojects/cotenant
  cp -r "$root/include" "$root/meson.build" subprojects/cotenant/
  cp "$root/tests/package/meson/meson.build" "$program"/{both,main,other}.cpp .
  meson setup build -Dbuildtype=plain && meson compile -C build && build/program
}
meson_installed_pkg_config() {
  meson setup cotenant "$root" --prefix "$PWD/prefix" && meson install -C cotenant
  with_pkg_config prefix
}
single_header() {
  "$compiler" "${flags[@]}" -I"$root/single_include" "$program/main.cpp" "$program/other.cpp" -lhwy -ltbb -o program && ./program
}
# Vendored under another name, which COTENANT_SELF tells it; std headers and a second inclusion around it.
single_header_renamed() {
  mkdir -p third_party
  cp "$root/single_include/cotenant/cotenant.hpp" third_party/tensors.hpp
  sed 's|#include <cotenant/cotenant.hpp>|#include <vector>\n#include "third_party/tensors.hpp"\n#include <hwy/highway.h>\n#include "third_party/tensors.hpp"|' "$program/main.cpp" >main.cpp
  sed 's|<cotenant/cotenant.hpp>|"third_party/tensors.hpp"|' "$program/other.cpp" >other.cpp
  "$compiler" "${flags[@]}" -I. '-DCOTENANT_SELF="third_party/tensors.hpp"' main.cpp other.cpp -lhwy -ltbb -o program && ./program
}
# One target, chosen by the flags; neither libhwy nor oneTBB is linked. The one file is all there is.
single_header_static_dispatch() {
  cp "$root/single_include/cotenant/cotenant.hpp" tensors.hpp
  sed 's|<cotenant/cotenant.hpp>|"tensors.hpp"|' "$program/main.cpp" >main.cpp
  sed 's|<cotenant/cotenant.hpp>|"tensors.hpp"|' "$program/other.cpp" >other.cpp
  "$compiler" "${flags[@]}" -march=native -DCOTENANT_STATIC_DISPATCH -DCOTENANT_SERIAL main.cpp other.cpp -o program && ./program
  if command -v ldd >/dev/null && ldd program | grep -E 'hwy|tbb'; then return 1; fi
}
# Two units with different CPU flags in one program: no kernel may be shared between them.
two_targets() {
  local newer=()
  case $(uname -m) in x86_64) grep -qsw avx2 /proc/cpuinfo && newer=(-mavx2 -mfma) ;; esac
  "$compiler" "${flags[@]}" -I"$root/include" -c "$program/main.cpp" -o main.o
  "$compiler" "${flags[@]}" ${newer[@]+"${newer[@]}"} -I"$root/include" -c "$program/other.cpp" -o other.o
  "$compiler" main.o other.o -lhwy -ltbb -o program && ./program
  "$compiler" other.o main.o -lhwy -ltbb -o program && ./program
}
# The Vulkan backend: a product on whatever device is here. CMake and Meson compile the device's code once for both units.
vulkan_add_subdirectory() {
  cmake -S "$root/tests/package/vulkan_add_subdirectory" -B build -G Ninja -DCOTENANT_SOURCE="$root" -DPROGRAM="$program" -DCMAKE_CXX_FLAGS=-O0
  cmake --build build && build/program
}
vulkan_installed_find_package() {
  with_find_package vulkan_find_package -O0
}
vulkan_installed_pkg_config() {
  install_with_cmake
  mv prefix moved
  vulkan_with_pkg_config moved
}
vulkan_meson_installed_pkg_config() {
  meson setup cotenant "$root" --prefix "$PWD/prefix" && meson install -C cotenant
  vulkan_with_pkg_config prefix
}
vulkan_with_pkg_config() {  # PREFIX
  local options
  options=$(PKG_CONFIG_PATH=$PWD/$1/share/pkgconfig pkg-config --cflags --libs cotenant-vulkan)
  # shellcheck disable=SC2086 # a list of options
  "$compiler" "${flags[@]}" -O0 "$program/gpu.cpp" $options -o program && ./program
}
vulkan_meson_subproject() {
  mkdir -p subprojects/cotenant
  cp -r "$root/include" "$root/meson.build" subprojects/cotenant/
  cp "$root/tests/package/vulkan_meson/meson.build" "$program"/{gpu,other_gpu}.cpp .
  meson setup build -Dbuildtype=plain && meson compile -C build && build/program
}
# The two files are all there is, beside Highway's headers and libvulkan.
vulkan_single_header() {
  mkdir cotenant
  cp "$root"/single_include/cotenant/{cotenant,vulkan}.hpp cotenant/
  "$compiler" "${flags[@]}" -O0 -I. -DCOTENANT_STATIC_DISPATCH -DCOTENANT_SERIAL -march=native "$program/gpu.cpp" -lvulkan -o program && ./program
}
# A library with a copy of cotenant of its own, loaded at run time; neither exports symbols to the other.
plugin() {
  local options=("${flags[@]}" -O0 -I"$root/include")
  "$compiler" "${options[@]}" "$program/plugin_host.cpp" -ldl -o program
  "$compiler" "${options[@]}" -fPIC -shared "$program/plugin.cpp" -o plugin.so && ./program ./plugin.so
  "$compiler" "${options[@]}" -fPIC -shared -fvisibility=hidden "$program/plugin.cpp" -o hidden.so && ./program ./hidden.so
}
no_exceptions() {
  "$compiler" "${flags[@]}" -fno-exceptions -I"$root/include" "$program/no_exceptions.cpp" -lhwy -ltbb -o program && ./program
}

all=(add_subdirectory installed_find_package installed_pkg_config meson_subproject meson_installed_pkg_config
     single_header single_header_renamed single_header_static_dispatch two_targets no_exceptions plugin
     vulkan_add_subdirectory vulkan_installed_find_package vulkan_installed_pkg_config vulkan_meson_subproject
     vulkan_meson_installed_pkg_config vulkan_single_header)
[ "${1:-}" = --list ] && { printf '%s\n' "${all[@]}"; exit; }
[ $# -gt 0 ] || set -- "${all[@]}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for name in "$@"; do
  echo "== $name"
  mkdir "$work/$name"
  (cd "$work/$name" && "$name")
done
