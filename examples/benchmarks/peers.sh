#!/usr/bin/env bash
# Puts the same load on Coffer and on other ways to an encrypted file through FUSE, in turns, and writes one table
# and one chart.
#
#   examples/benchmarks/peers.sh [RESULTS [ARGUMENTS]]
#
# RESULTS is a directory (examples/benchmarks/results) that gets peers.md and peers.svg. Further arguments go
# to `coffer bench image`, after those below. The files lie in memory (/dev/shm, 5 GiB with the default size), or
# in the directory that BENCH_DIRECTORY names.
#
# The peers, from Debian:
#   qemu       qemu-storage-daemon, FUSE export of a LUKS1 image
#   nbdfuse    nbdkit's luks filter over a LUKS1 image, as a file through nbdfuse
#   gocryptfs  a file in a file system that encrypts and authenticates each file (AES-256-GCM)
#   securefs   the same
# LUKS and Coffer encrypt without authenticating, which is less work; gocryptfs and securefs keep a file of any
# length in a directory, which is more. All peers run with their defaults.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../build.sh"

results=$(realpath -m "${1-$coffer_root/examples/benchmarks/results}")
shift || true
size=${BENCH_SIZE-1G}
shown="examples/benchmarks/peers.sh${1+ RESULTS $*}"
parent=${BENCH_DIRECTORY-/dev/shm}

require_packages "${coffer_packages[@]}" \
  fio gocryptfs libnbd-bin nbdkit procps qemu-system-common qemu-utils securefs
require_swift
build_release

work=$(mktemp -d "$parent/coffer-peers-XXXXXX")
servers=()

clean_up() {
  local directory
  for directory in nbdfuse gocryptfs securefs; do
    fusermount3 -uz "$work/$directory" 2>/dev/null || true
  done
  for pid in "${servers[@]}"; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  fusermount3 -uz "$work/qemu" 2>/dev/null || true
  rm -rf --one-file-system "$work"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# Waits until a command succeeds.
wait_for() {
  local tries
  for tries in {1..100}; do
    if "$@"; then return; fi
    sleep 0.1
  done
  fail "'$*' does not come true after 10 s"
}

# The passphrase guards nothing: the image is made for this run and goes with it.
passphrase=$work/passphrase
printf benchmark >"$passphrase"

# Now and then qemu-img cannot time the derivation of the key ("Unable to get accurate CPU usage").
luks_image() {
  wait_for qemu-img create -q -f luks --object "secret,id=key,file=$passphrase" \
    -o key-secret=key,iter-time=200 "$1" "$size" 2>/dev/null
}

start_qemu() {
  luks_image "$work/qemu.luks"
  touch "$work/qemu"
  qemu-storage-daemon \
    --object "secret,id=key,file=$passphrase" \
    --blockdev "driver=file,node-name=file,filename=$work/qemu.luks" \
    --blockdev driver=luks,node-name=luks,file=file,key-secret=key \
    --export "type=fuse,id=export,node-name=luks,mountpoint=$work/qemu,writable=on" &
  servers+=($!)
  wait_for mountpoint -q "$work/qemu"
}

start_nbdfuse() {
  luks_image "$work/nbdfuse.luks"
  mkdir "$work/nbdfuse"
  nbdfuse "$work/nbdfuse" [ nbdkit --filter=luks file "$work/nbdfuse.luks" \
    "passphrase=+$passphrase" ] &
  servers+=($!)
  wait_for mountpoint -q "$work/nbdfuse"
}

start_gocryptfs() {
  mkdir "$work/gocryptfs.data" "$work/gocryptfs"
  gocryptfs -quiet -nosyslog -init -scryptn 10 -passfile "$passphrase" "$work/gocryptfs.data"
  gocryptfs -quiet -nosyslog -passfile "$passphrase" "$work/gocryptfs.data" "$work/gocryptfs"
}

start_securefs() {
  mkdir "$work/securefs.data" "$work/securefs"
  securefs create --pass benchmark --rounds 1 "$work/securefs.data" >/dev/null
  securefs mount -b --log "$work/securefs.log" --pass benchmark "$work/securefs.data" "$work/securefs" >/dev/null
  wait_for mountpoint -q "$work/securefs"
}

start_qemu
start_nbdfuse
start_gocryptfs
start_securefs

mkdir -p "$results"
"$coffer_bin/coffer" bench image --quick --seconds 1 --rounds 5 --size "$size" --directory "$parent" \
  --no-references \
  --beside "qemu=$work/qemu" --beside "nbdfuse=$work/nbdfuse/nbd" \
  --beside "gocryptfs=$work/gocryptfs/file" --beside "securefs=$work/securefs/file" \
  --title "Coffer and other encrypted files through FUSE" \
  --shown-command "$shown" \
  --chart "$results/peers.svg" --markdown "$@" >"$results/peers.md"
{
  echo
  dpkg-query -W -f '${Package} ${Version}, ' qemu-system-common nbdkit libnbd-bin gocryptfs securefs | sed 's/, $/./'
  echo
} >>"$results/peers.md"
cat "$results/peers.md"
echo "The table is in $results/peers.md, the chart in $results/peers.svg" >&2
