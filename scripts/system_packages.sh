#!/bin/sh
# Genesis cannot be imported without libGL and libXrender, and builds no scene without EGL or OSMesa; Debian's Python
# makes no virtual environment without its venv package. Installs what is missing with apt where that is allowed,
# else stops with the one command to type.
# usage: system_packages.sh PYTHON
set -eu
[ "$(uname -s)" = Linux ] || exit 0

has() { PATH="$PATH:/sbin:/usr/sbin" ldconfig -p | grep -q "$1"; }
missing=""
has 'libGL\.so\.1' || missing="$missing libgl1"
has 'libXrender\.so\.1' || missing="$missing libxrender1"
has 'libEGL\.so\.1' || has 'libOSMesa\.so' || missing="$missing libegl1"
"$1" -c 'import ensurepip' 2>/dev/null ||
  missing="$missing $("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
[ -n "$missing" ] || exit 0

install="apt-get install -y --no-install-recommends$missing"
if ! command -v apt-get >/dev/null; then
  echo "These are missing (Debian's names); install them with your package manager:$missing" >&2
  exit 1
elif [ "$(id -u)" = 0 ]; then
  sudo=""
elif sudo -n true 2>/dev/null; then
  sudo="sudo"
else
  echo "System packages are missing:$missing. Install them with:" >&2
  echo "  sudo $install" >&2
  exit 1
fi
echo "Installing system packages:$missing"
$sudo apt-get update -qq
$sudo env DEBIAN_FRONTEND=noninteractive $install -qq >/dev/null
