"""A long random sequence of operations, from several threads, against a plain model of the same size."""

import mmap
import os
import random
import threading

import pytest

from harness import host, luks

MiB = 1 << 20
SIZE = 8 * MiB
THREADS = 4
STEPS = 500


def slices(choice):
    """Cuts the volume at odd places, so that the threads meet within sectors, and deals the pieces out."""
    cuts = sorted({0, SIZE, *(choice.randrange(1, SIZE) for _ in range(63))})
    pieces = list(zip(cuts, cuts[1:]))
    return [pieces[thread::THREADS] for thread in range(THREADS)]


class Worker:
    """One thread: it alone changes its pieces, so it knows at each moment what they hold."""

    def __init__(self, path, direct, pieces, model, choice):
        self.path, self.direct, self.pieces, self.model, self.choice = path, direct, pieces, model, choice
        self.failure = None

    def run(self):
        flags = os.O_RDWR | (os.O_DIRECT if self.direct else 0)
        self.descriptor = os.open(self.path, flags)
        self.view = None if self.direct else mmap.mmap(self.descriptor, SIZE)
        try:
            for self.step in range(STEPS):
                self.one_step()
        except BaseException as error:  # noqa: BLE001 - reported by the main thread
            self.failure = f"step {self.step}: {error!r}"
        finally:
            if self.view is not None:
                self.view.close()
            os.close(self.descriptor)

    def one_step(self):
        choice = self.choice
        begin, end = choice.choice(self.pieces)
        offset = choice.randrange(begin, end)
        limit = choice.choice([1, 100, 512, 5000, MiB])
        length = choice.randrange(1, min(limit, end - offset) + 1)
        operations = ["write"] * 6 + ["read"] * 5 + ["punch", "zero", "sync", "aligned"]
        operation = choice.choice(operations if self.direct else operations + ["map", "map"])
        if operation == "aligned":
            # A run of whole sectors, where one lies in the piece.
            offset, stop = -(-begin // 4096) * 4096, end // 4096 * 4096
            if offset >= stop:
                return
            length, operation = stop - offset, "write"
        if operation == "write":
            data = choice.randbytes(length)
            assert os.pwrite(self.descriptor, data, offset) == length
            self.model[offset:offset + length] = data
        elif operation == "map":
            data = choice.randbytes(length)
            self.view[offset:offset + length] = data
            self.model[offset:offset + length] = data
            if choice.random() < 0.2:
                self.view.flush()
        elif operation in ("punch", "zero"):
            host.fallocate(self.descriptor, host.PUNCH if operation == "punch" else host.ZERO_RANGE, offset, length)
            self.model[offset:offset + length] = bytes(length)
        elif operation == "sync":
            choice.choice([os.fsync, os.fdatasync])(self.descriptor)
        else:
            found = os.pread(self.descriptor, length, offset)
            assert found == self.model[offset:offset + length], f"{length} bytes at {offset} differ"


def exercise(path, seed, direct, expected_path):
    """Runs the threads and compares the whole at the end; leaves the model in a file."""
    choice = random.Random(seed)
    model = bytearray(choice.randbytes(SIZE))
    host.write_at(path, 0, bytes(model))
    workers = [Worker(path, direct, pieces, model, random.Random(f"{seed} {number}"))
               for number, pieces in enumerate(slices(choice))]
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [worker.failure for worker in workers] == [None] * THREADS
    assert host.read_at(path) == model
    expected_path.write_bytes(model)


@pytest.mark.parametrize("direct", [False, True], ids=["buffered and mapped", "direct"])
@pytest.mark.parametrize("sector_size", ["512", "4096"])
def test_random_operations_match_the_model(site, sector_size, direct):
    seed = int(os.environ.get("COFFER_SEED", random.randrange(1 << 30)))
    print(f"COFFER_SEED={seed}")
    document, passphrase = site.known_volume(str(SIZE), "--sector-size", sector_size)
    expected = site.path("expected")
    with site.attached(document["name"]) as volume:
        site.call(exercise, volume, seed, direct, expected)
    with site.attached(document["name"], "--read-only") as volume:
        assert site.call(host.read_at, volume) == expected.read_bytes(), "differs after attaching again"
    assert luks.decrypted(document["image"], passphrase) == expected.read_bytes(), "differs when decrypted by others"
