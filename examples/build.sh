#!/usr/bin/env bash
# Installs the Debian packages that Coffer needs and this machine lacks, and builds the programs (release).
#
#   examples/build.sh                      build into .build-release and say where the programs are
#   examples/build.sh --install [PREFIX]   build, then install under PREFIX (/usr/local) and put the mount
#                                          helper where mount(8) looks for it
#
# The other scripts source this file for its functions. Without missing packages it needs neither root nor,
# once the Swift packages have been fetched, the network.

coffer_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Static and dynamic builds of the Swift runtime cannot share a scratch path.
coffer_scratch=$coffer_root/.build-release

coffer_packages=(
  binutils ca-certificates git libc6-dev libstdc++-12-dev
  libcryptsetup-dev libcurl4-openssl-dev libfuse3-dev libsqlite3-dev libssl-dev liburing-dev
  fuse3 e2fsprogs mount
)

fail() {
  printf '%s: %s\n' "$(basename "$0")" "$1" >&2
  exit 1
}

# Runs a command as root: as it is, or through sudo.
as_root() {
  if [[ $EUID -eq 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "this needs root and there is no sudo; run as root: $*"
  fi
}

# Installs those of the named Debian packages that are missing.
require_packages() {
  local package missing=()
  command -v dpkg-query >/dev/null || fail "dpkg-query not found: this script knows Debian's packages; install by hand: $*"
  for package in "$@"; do
    if [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) != installed ]]; then
      missing+=("$package")
    fi
  done
  [[ ${#missing[@]} -eq 0 ]] && return
  echo "Missing Debian packages: ${missing[*]}"
  as_root apt-get update -q
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# Checks that a Swift toolchain of 6.2 or later is in PATH.
require_swift() {
  local version
  command -v swift >/dev/null \
    || fail "no 'swift' in PATH: install Swift 6.2 or later for Debian 12 from https://www.swift.org/install/linux/"
  version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p' | head -n 1)
  if [[ $(printf '%s\n' 6.2 "$version" | sort -V | head -n 1) != 6.2 ]]; then
    fail "Swift ${version:-of unknown version} is too old: Coffer needs 6.2 or later (https://www.swift.org/install/linux/)"
  fi
}

# Builds the programs; coffer_bin is then the directory that holds them.
build_release() {
  local build=(swift build --package-path "$coffer_root" --scratch-path "$coffer_scratch"
    -c release --static-swift-stdlib)
  "${build[@]}"
  coffer_bin=$("${build[@]}" --show-bin-path)
}

install_programs() {
  local prefix=$1
  as_root install -D -m 755 "$coffer_bin/coffer" "$prefix/bin/coffer"
  as_root install -D -m 755 "$coffer_bin/cofferd" "$prefix/sbin/cofferd"
  as_root install -D -m 755 "$coffer_bin/mount.coffer" /sbin/mount.coffer
  as_root ln -sf mount.coffer /sbin/umount.coffer
  echo "Installed $prefix/bin/coffer, $prefix/sbin/cofferd, /sbin/mount.coffer and /sbin/umount.coffer"
}

build_main() {
  local prefix=""
  case ${1-} in
    "") ;;
    --install) prefix=${2-/usr/local} prefix=${prefix#PREFIX=} ;;
    *) fail "usage: examples/build.sh [--install [PREFIX]]" ;;
  esac
  require_packages "${coffer_packages[@]}"
  require_swift
  build_release
  echo "The programs are in $coffer_bin"
  if [[ -n $prefix ]]; then install_programs "$prefix"; fi
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  set -euo pipefail
  build_main "$@"
fi
