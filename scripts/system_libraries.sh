#!/bin/sh
# Genesis cannot be imported without libGL and libXrender, and builds no scene without EGL or OSMesa.
# Installs what is missing with apt where that is allowed, else stops with the one command to type.
set -eu
[ "$(uname -s)" = Linux ] || exit 0

has() { { ldconfig -p 2>/dev/null || /sbin/ldconfig -p; } | grep -q "$1"; }
missing=""
has 'libGL\.so\.1' || missing="$missing libgl1"
has 'libXrender\.so\.1' || missing="$missing libxrender1"
has 'libEGL\.so\.1' || has 'libOSMesa\.so' || missing="$missing libegl1"
[ -n "$missing" ] || exit 0

command="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing system libraries:$missing"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive $command -qq >/dev/null
elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then
  echo "Installing system libraries:$missing"
  sudo apt-get update -qq && sudo DEBIAN_FRONTEND=noninteractive $command -qq >/dev/null
else
  echo "System libraries are missing:$missing. Install them with:" >&2
  echo "  sudo $command" >&2
  exit 1
fi
