"""A full disk under the image: the writer gets ENOSPC, what was there stays, and room helps."""

import errno
import os
import subprocess

import pytest

from harness import host
from harness.programs import Exit, check_error

MiB = 1 << 20


@pytest.fixture
def small_disk(site):
    directory = site.directory("disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m,mode=777", "tmpfs", directory], check=True)
    yield directory
    subprocess.run(["umount", "--lazy", directory], check=True)


def write_until_full(path, flags):
    """Gives the errno that ended it and how many MiB were written and synced."""
    descriptor = os.open(path, os.O_RDWR | flags)
    written = 0
    try:
        while written < 64:
            offset = 0
            block = bytes([written]) * MiB
            while offset < MiB:
                offset += os.pwrite(descriptor, block[offset:], written * MiB + offset)
            os.fsync(descriptor)
            written += 1
        return None, written
    except OSError as error:
        return error.errno, written
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("flags", [0, os.O_DIRECT], ids=["buffered", "direct"])
def test_enospc_reaches_the_writer(site, small_disk, flags):
    document = site.volume("64M", "--image", small_disk / "image")
    with site.attached(document["name"]) as volume:
        number, written = site.call(write_until_full, volume, flags)
        assert number == errno.ENOSPC and 10 <= written < 40
        # What was synced is there, the attachment lives, and with room the writing goes on.
        for block in range(written):
            assert site.call(host.read_at, volume, block * MiB, MiB) == bytes([block]) * MiB
        subprocess.run(["mount", "-o", "remount,size=120m", small_disk], check=True)
        assert site.call(write_until_full, volume, flags) == (None, 64)
    with site.attached(document["name"]) as volume:
        assert site.call(host.read_at, volume, 63 * MiB, MiB) == bytes([63]) * MiB
    site.coffer("volume", "delete", document["name"]).ok()


def test_create_on_a_full_disk_leaves_nothing(site, small_disk):
    with open(small_disk / "ballast", "wb") as file:
        try:
            while True:
                file.write(bytes(MiB))
                file.flush()
        except OSError as error:
            assert error.errno == errno.ENOSPC
    before = site.snapshot()
    result = site.coffer("volume", "create", site.new_name(), "--size", "8M", "--image", small_disk / "image")
    check_error(result, Exit.IO, small_disk / "image", "space")
    assert sorted(os.listdir(small_disk)) == ["ballast"]
    assert site.snapshot() == before
