#!/usr/bin/env bash
# Shows Coffer's main job from end to end, with real data: a key, a volume, a file system in it, the same data
# after detaching and attaching again, and no plaintext in the image. Leaves nothing behind.
#
# The loop device and the file system on it need root; attaching a volume does not. Not run as root, this
# script builds as you and runs the rest through sudo.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/build.sh"

# The least that is copied into the volume.
tree_files=5500
tree_bytes=$((220 * 1024 * 1024))

bold="" plain=""
if [[ -t 1 ]]; then bold=$'\033[1m' plain=$'\033[0m'; fi

step() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }

# Shows a command as one would type it, then runs it.
run() {
  local word line='$'
  for word in "$@"; do
    [[ $word =~ ^[A-Za-z0-9_./:,=@%+-]+$ ]] || word=${word@Q}
    line+=" $word"
  done
  echo "$line"
  "$@"
}

clean_up() {
  local status=$?
  set +e
  cd /
  if mountpoint -q "$work/files"; then umount "$work/files"; fi
  if [[ -n ${loop-} ]]; then losetup -d "$loop"; fi
  if mountpoint -q "$work/attached"; then "$coffer_bin/coffer" detach "$work/attached"; fi
  if [[ -n ${daemon-} ]]; then
    kill "$daemon"
    wait "$daemon"
  fi
  rm -rf --one-file-system "$work"
  if [[ $status -ne 0 ]]; then
    printf '\n%s: failed (exit status %s); everything it made has been removed\n' "$(basename "$0")" "$status" >&2
  fi
  exit "$status"
}

# Fails unless as many of the known texts were found in $1 as should be.
expect_matches() {
  local where=$1 found=$2 wanted=$3
  printf '  %s: %s of %s known texts found\n' "$where" "$found" "${#known[@]}"
  [[ $found -eq $wanted ]] || fail "expected $wanted of the known texts in the $where, found $found"
}

# How many of the known texts the file $1 holds.
count_known() {
  local text count=0
  for text in "${known[@]}"; do
    if LC_ALL=C grep -q -a -F -e "$text" "$1"; then count=$((count + 1)); fi
  done
  echo "$count"
}

# Copies ordinary files of this machine into the mounted file system until there are enough of them.
copy_tree() {
  find /usr/share/common-licenses /usr/include /usr/lib /usr/share -xdev -type f -size -4M \
    -printf '%s %p\n' 2>/dev/null \
    | awk -v files="$tree_files" -v bytes="$tree_bytes" \
      '{ n++; total += $1; sub(/^[0-9]+ /, ""); print } n >= files && total >= bytes { exit }' \
      >"$work/list" || true
  echo "$ xargs -d '\n' -a list cp --parents -t $work/files"
  xargs -d '\n' -a "$work/list" cp --parents -t "$work/files"
}

demonstrate() {
  work=$(mktemp -d "${TMPDIR:-/var/tmp}/coffer-quickstart.XXXXXX")
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  cd "$work"
  mkdir attached files
  PATH=$coffer_bin:$PATH
  export COFFER_SOCKET=$work/cofferd.sock
  local marker="coffer quickstart $RANDOM $RANDOM $RANDOM: this sentence is stored in the volume"
  known=("$marker" "coffer-demo" "lost+found" "GNU GENERAL PUBLIC LICENSE" "#ifndef _STDIO_H")

  step "1. A daemon of our own: key manager and volume service, with its state in $work"
  echo "$ cofferd --state $work/state --socket $COFFER_SOCKET &"
  cofferd --state "$work/state" --socket "$COFFER_SOCKET" >"$work/cofferd.log" 2>&1 &
  daemon=$!
  local tries
  for tries in {1..100}; do
    if [[ -S $COFFER_SOCKET ]]; then break; fi
    if ! kill -0 "$daemon" 2>/dev/null; then
      cat "$work/cofferd.log" >&2
      fail "cofferd did not start"
    fi
    sleep 0.1
  done

  step "2. A key, which stays in the key manager and is known by its ID"
  run coffer key create --name demo
  run coffer key list
  local key
  key=$(coffer key list --json | sed -n 's/.*"id" *: *"\([0-9a-f-]*\)".*/\1/p' | head -n 1)

  step "3. A volume of 1 GiB: a sparse LUKS2 image that a clone of that key opens"
  run coffer volume create demo --size 1G --key-id "$key"
  run coffer volume show demo
  local image
  image=$(coffer volume show demo --json | sed -n 's/.*"image" *: *"\([^"]*\)".*/\1/p' | sed 's|\\/|/|g')

  step "4. Attached: the decrypted volume is one file"
  run coffer attach demo "$work/attached"
  run ls -l "$work/attached"
  run coffer attachment list

  step "5. An ext4 file system on a loop device over it"
  # A discard would write encrypted zeros over the whole image.
  echo "$ losetup --find --show $work/attached/volume"
  loop=$(losetup --find --show "$work/attached/volume")
  echo "$loop"
  run mkfs.ext4 -q -E nodiscard -L coffer-demo "$loop"
  run mount "$loop" "$work/files"

  step "6. Real files, and their checksums as read from where they came"
  echo "$marker" >"$work/files/marker.txt"
  copy_tree
  echo "$ sed 's|^/||' list | xargs -d '\n' sha256sum >SHA256SUMS"
  (cd / && sed 's|^/||' "$work/list" | xargs -d '\n' sha256sum) >"$work/SHA256SUMS"
  echo "copied $(wc -l <"$work/list") files, $(du -sh --apparent-size "$work/files" | cut -f 1), from /usr"
  run df -h "$work/files"

  step "7. Unmounted and detached: nothing is decrypted any more"
  run umount "$work/files"
  run losetup -d "$loop"
  loop=""
  run coffer detach "$work/attached"
  run coffer attachment list

  step "8. What lies on the disk is ciphertext"
  run ls -ls "$image"
  expect_matches image "$(count_known "$image")" 0

  step "9. Attached again: every checksum is right"
  run coffer attach demo "$work/attached" --read-only
  run mount -o ro,loop "$work/attached/volume" "$work/files"
  echo "$ sha256sum --quiet --check SHA256SUMS"
  (cd "$work/files" && sha256sum --quiet --check "$work/SHA256SUMS")
  echo "$(wc -l <"$work/SHA256SUMS") files verified"
  run umount "$work/files"
  run e2fsck -fn "$work/attached/volume"
  echo "The same search in the decrypted volume finds what the image did not show:"
  expect_matches volume "$(count_known "$work/attached/volume")" "${#known[@]}"

  step "10. Detached and deleted"
  run coffer detach "$work/attached"
  run coffer volume delete demo
  run coffer key delete "$key"
  printf '\nDone: %s files went in and came back, and the image shows none of the known texts.\n' \
    "$(wc -l <"$work/SHA256SUMS")"
}

if [[ ${1-} == --demonstrate ]]; then
  coffer_bin=$2
  demonstrate
else
  require_packages "${coffer_packages[@]}"
  require_swift
  build_release
  as_root "${BASH_SOURCE[0]}" --demonstrate "$coffer_bin"
fi
