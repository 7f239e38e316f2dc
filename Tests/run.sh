#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test.
#
#   Tests/run.sh         all
#   Tests/run.sh unit    formatting, a debug build without warnings, and the Swift tests
#   Tests/run.sh e2e     the release programs, run as a user would on real mounts; further arguments go to pytest
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../examples/build.sh"
cd "$coffer_root"

test_packages=(
  cryptsetup-bin fio gdb passwd python3 python3-cryptography python3-pytest qemu-utils util-linux xfsprogs
)
failed=()

# Notes a failure instead of stopping, so that one run shows all of them.
check() {
  local what=$1
  shift
  printf '\n=== %s\n' "$what"
  "$@" || failed+=("$what")
}

build_without_warnings() {
  local log=.build/build-tests.log
  mkdir -p .build
  swift build --build-tests 2>&1 | tee "$log" || return
  # Those of other people's packages are in the checkouts.
  ! grep -E '^(/|Sources|Tests).*warning:' "$log" | grep -v '/checkouts/'
}

run_unit() {
  check "formatting" swift format lint --strict --recursive Package.swift Sources Tests
  check "debug build without warnings" build_without_warnings
  check "unit tests" swift test --parallel
}

run_end_to_end() {
  printf '\n=== %s\n' "release build"
  build_release
  check "end-to-end tests" as_root env COFFER_BIN="$coffer_bin" PYTHONDONTWRITEBYTECODE=1 \
    /usr/bin/python3 -m pytest -p no:cacheprovider -q --durations=10 "$@" Tests/EndToEnd
}

part=${1-all}
shift || true
case $part in all | unit | e2e) ;; *) fail "usage: Tests/run.sh [unit | e2e [pytest arguments]]" ;; esac

require_packages "${coffer_packages[@]}" "${test_packages[@]}"
require_swift
# Ordinary users mount too. udev gives everyone this device; where no udev runs it is root's alone.
if [[ -c /dev/fuse && $(stat -c %a /dev/fuse) != 666 ]]; then as_root chmod 666 /dev/fuse; fi
if [[ $part != e2e ]]; then run_unit; fi
if [[ $part != unit ]]; then run_end_to_end "$@"; fi

echo
if [[ ${#failed[@]} -gt 0 ]]; then
  printf 'FAILED: %s\n' "$(IFS=,; echo "${failed[*]}")"
  exit 1
fi
echo "All tests passed."
