"""SIGKILL of the serving process: what was synced is there, and the stale mountpoint is cleaned."""

import errno
import os
import random
import signal
import struct
import time

import pytest

from harness import host, luks
from harness.programs import Exit, check_error

MiB = 1 << 20
RECORD = 3000  # no multiple of a sector
SIZE = 8 * MiB


def record(number):
    """What the record of this number holds, recognisable on its own."""
    return struct.pack("<Q", number) + random.Random(number).randbytes(RECORD - 8)


def place(number):
    """Records go over the same places in rounds, in an order without locality."""
    count = SIZE // RECORD
    return number * 1009 % count * RECORD


def write_records(path, log, direct):
    """Writes records, syncs each, and only then notes it in the log."""
    descriptor = os.open(path, os.O_RDWR | (os.O_DIRECT if direct else 0))
    with open(log, "ab", buffering=0) as acknowledged:
        number = 0
        while True:
            if os.pwrite(descriptor, record(number), place(number)) != RECORD:
                raise OSError(errno.EIO, "a short write: the server went within it")
            os.fsync(descriptor)
            acknowledged.write(struct.pack("<Q", number))
            number += 1


def synced(log):
    data = log.read_bytes() if log.exists() else b""
    return len(data) // 8


@pytest.mark.parametrize("direct", [False, True], ids=["buffered", "direct"])
def test_what_was_synced_survives(site, direct):
    document, passphrase = site.known_volume(str(SIZE))
    for _ in range(3):
        directory, log = site.directory(), site.path("log")
        site.coffer("attach", document["name"], directory).ok()
        server = site.server(directory)
        writer = host.Background(site.persona, write_records, directory / "volume", log, direct)
        try:
            assert host.eventually(lambda: synced(log) > 20)
            time.sleep(random.random() / 2)
            os.kill(server, signal.SIGKILL)
            assert writer.wait() == 2, "the writer was not told of the failure"
        finally:
            writer.stop()
        assert host.eventually(lambda: not host.is_running(server))
        count = synced(log)
        site.coffer("detach", directory).ok()

        with site.attached(document["name"], directory=directory) as volume:
            content = site.call(host.read_at, volume)
        # The one record that was being written may be old, new or mixed; every other is whole.
        last = {place(number): number for number in range(count)}
        in_flight = place(count)
        for offset, number in last.items():
            if offset != in_flight:
                assert content[offset:offset + RECORD] == record(number), f"record {number} of {count}"
        assert luks.decrypted(document["image"], passphrase) == content


def test_stale_mountpoint(site):
    """Its state is told, nothing else is attached over it, and detach cleans it."""
    document = site.volume("1M")
    directory = site.directory()
    site.coffer("attach", document["name"], directory).ok()
    server = site.server(directory)
    os.kill(server, signal.SIGKILL)
    assert host.eventually(lambda: not host.is_running(server))
    with pytest.raises(OSError) as caught:
        site.call(os.listdir, directory)
    # A request that was under way is aborted, later ones find nobody.
    assert caught.value.errno in (errno.ENOTCONN, errno.ECONNABORTED)

    assert host.eventually(lambda: site.json("volume", "show", document["name"])["state"] == "available")
    before = site.snapshot(document["image"])
    result = site.coffer("attach", document["name"], directory)
    check_error(result, Exit.BAD_MOUNTPOINT, directory, "coffer detach")
    assert site.snapshot(document["image"]) == before

    site.coffer("detach", directory).ok()
    assert host.mounts(directory) == [] and os.listdir(directory) == []
    with site.attached(document["name"], directory=directory) as volume:
        site.call(host.write_at, volume, 0, b"again")


def test_a_killed_server_frees_the_volume_for_another_mountpoint(site):
    """In use is a lock, not a flag."""
    document = site.volume("1M")
    directory = site.directory()
    site.coffer("attach", document["name"], directory).ok()
    os.kill(site.server(directory), signal.SIGKILL)
    with site.attached(document["name"]) as volume:
        site.call(host.write_at, volume, 0, b"elsewhere")
    site.coffer("detach", directory).ok()
    site.coffer("volume", "delete", document["name"]).ok()
