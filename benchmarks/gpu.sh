#!/bin/sh
# The figures of a machine with an NVIDIA GPU: steps/s of every adapter and of training, and the time to solve reach.
#   usage: sh benchmarks/gpu.sh OUT_DIR      where `python` has this package, and torch built for CUDA
# Each command takes a few minutes; they write JSON into OUT_DIR. Nobody has run this yet (docs/performance.md).
set -eu
out=${1:?OUT_DIR}
mkdir -p "$out"
python -m genesis_gym doctor | tee "$out/doctor.txt"
python benchmarks/step_rate.py --num-envs 1024 4096 16384 65536 --out "$out/step_rate.json"
python benchmarks/training_rate.py --num-envs 4096 16384 --out "$out/training_rate.json"
for seed in 0 1 2; do
  python -m genesis_gym train --library rsl_rl --num-envs 4096 --timesteps 4000000 --stop-at-success 0.95 \
    --seed "$seed" --out "$out/reach-$seed" --quiet
done
python benchmarks/drift.py --device gpu | tee "$out/drift.txt"
