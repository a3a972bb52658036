#!/bin/sh
# Build wheel and sdist, install each by itself and see that it imports and registers its environments.
# usage: check_build.sh PYTHON
set -eu
python=$1
"$python" -m pip install --quiet --disable-pip-version-check build
rm -rf dist
"$python" -m build --outdir dist . >/dev/null
for package in dist/*.whl dist/*.tar.gz; do
  folder=$(mktemp -d)
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder" "$package"
  PYTHONPATH=$folder "$python" - "$folder" <<'CHECK'
import sys
import genesis_gym, gymnasium
assert genesis_gym.__file__.startswith(sys.argv[1]), genesis_gym.__file__
gymnasium.spec("Genesis/FrankaReach-v0")
CHECK
  rm -rf "$folder"
  echo "$package installs and imports"
done
