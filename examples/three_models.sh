#!/usr/bin/env bash
# BERT, DistilBERT- and T5-shaped models with and without sharing, three fine-tuned checkpoints, a budget of 60 %: builds and prints the tables.
#   examples/three_models.sh             the published models' sizes (2 GB in the folder for temporary files)
#   examples/three_models.sh --small     a hundredth of that
set -euo pipefail
source "$(dirname "$0")/../tests/environment.sh"
need_build_tools
install_missing
step "configure" configure_release -DCOTENANT_BUILD_TESTS=OFF -DCOTENANT_BUILD_BENCH=OFF
step "build examples/three_models" cmake --build "$root/build/release" -j "$jobs" --target examples_three_models
"$root/build/release/examples/three_models" "$@"
