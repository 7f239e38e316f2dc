"""What Coffer writes, stock cryptsetup and an independent implementation read."""

import os
import random
import subprocess

import pytest

from harness import host, luks

MiB = 1 << 20


def write_pieces(path, seed, size, expected_path):
    """Writes pieces of every alignment, buffered and direct; leaves what the volume must now hold in a file."""
    choice = random.Random(seed)
    expected = bytearray(choice.randbytes(size))
    host.write_at(path, 0, bytes(expected))
    for flags in [0, os.O_DIRECT]:
        descriptor = os.open(path, os.O_RDWR | flags)
        try:
            for _ in range(60):
                length = choice.choice([1, 13, 511, 512, 513, 4095, 4096, 4097, 65536, 200_001])
                offset = choice.randrange(size - length)
                data = choice.randbytes(length)
                assert os.pwrite(descriptor, data, offset) == length
                expected[offset:offset + length] = data
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    expected_path.write_bytes(expected)


@pytest.mark.parametrize("sector_size", [512, 4096])
def test_image_with_a_cloned_key(any_site, sector_size):
    document, passphrase = any_site.known_volume("4M", "--sector-size", str(sector_size))
    seed = random.randrange(1 << 30)
    print("seed", seed)
    expected = any_site.path("expected")
    with any_site.attached(document["name"]) as volume:
        any_site.call(write_pieces, volume, seed, 4 * MiB, expected)
    image = document["image"]
    assert luks.opens(image, passphrase)
    assert luks.opens(image, passphrase, slot=0)
    assert not luks.opens(image, b"0" * 64)
    dump = luks.cryptsetup("luksDump", image).stdout.decode()
    assert "coffer" in dump and "aes-xts-plain64" in dump
    assert luks.decrypted(image, passphrase) == expected.read_bytes()


def test_image_with_a_fresh_key(site):
    """The key's value is what the key manager answers to its owner on Barbican's interface."""
    document = site.volume("1M")
    command = ["curl", "-sS", "--fail", "--unix-socket", str(site.daemon.socket),
               f"http://localhost/v1/secrets/{document['key_id']}/payload", "-H", "Accept: application/octet-stream"]
    value = site.call(payload, command)
    assert len(value) == 32
    assert luks.opens(document["image"], value.hex().encode())


def payload(command):
    return subprocess.run(command, check=True, capture_output=True).stdout


def test_file_system_made_through_coffer_is_whole_when_decrypted(site, tmp_path):
    """e2fsck on what the independent implementation decrypts."""
    document, passphrase = site.known_volume("8M")
    with site.attached(document["name"]) as volume:
        site.call(subprocess.check_call, ["mkfs.ext4", "-q", "-F", "-E", "nodiscard", str(volume)])
    plain = tmp_path / "plain"
    plain.write_bytes(luks.decrypted(document["image"], passphrase))
    subprocess.run(["e2fsck", "-f", "-n", plain], check=True, capture_output=True)


def test_cryptsetup_changes_slots_and_coffer_still_attaches(site):
    """A recovery passphrase that stock cryptsetup adds, and takes away."""
    document, passphrase = site.known_volume("1M")
    image = document["image"]
    with site.attached(document["name"]) as volume:
        site.call(host.write_at, volume, 0, b"kept")
    new = site.path("recovery")
    new.write_bytes(b"recovery")
    luks.cryptsetup("luksAddKey", *luks.FAST, image, new, passphrase=passphrase)
    assert luks.opens(image, b"recovery")
    with site.attached(document["name"]) as volume:
        assert site.call(host.read_at, volume, 0, 4) == b"kept"
    luks.cryptsetup("luksRemoveKey", image, passphrase=b"recovery")
    with site.attached(document["name"]) as volume:
        assert site.call(host.read_at, volume, 0, 4) == b"kept"
    assert len(luks.tokens(image)) == 1
