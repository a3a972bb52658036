#!/bin/sh
# Install torch: without an NVIDIA GPU a CPU build where one can be had, not several GB of CUDA packages.
# usage: install_torch.sh PYTHON
set -eu
python=$1
version=$(sed -n 's/^torch==//p' constraints.txt)
pip() { "$python" -m pip install --quiet --disable-pip-version-check "$@"; }

if "$python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)'; then exit 0; fi
echo "Installing torch $version ..."
if command -v nvidia-smi >/dev/null && nvidia-smi >/dev/null 2>&1; then
  pip "torch==$version"
else
  pip "torch==$version+cpu" 2>/dev/null ||
    pip --retries 1 --timeout 20 --extra-index-url "$TORCH_CPU_INDEX" "torch==$version+cpu" 2>/dev/null ||
    { echo "no CPU build of torch was found: taking the default one"; pip "torch==$version"; }
fi
