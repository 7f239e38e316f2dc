"""Attach and detach: the decrypted image as a file, for each kind of user, and what the options do."""

import errno
import os
import random
import signal
import stat
import threading

import pytest

from harness import host, luks
from harness.programs import Exit, check_error

MiB = 1 << 20


def test_data_is_there_after_attaching_again(any_site):
    document = any_site.volume("8M")
    data = os.urandom(8 * MiB)
    directory = any_site.directory()
    with any_site.attached(document["name"], directory=directory) as volume:
        assert any_site.call(os.listdir, directory) == ["volume"]
        info = any_site.call(os.stat, volume)
        assert stat.S_ISREG(info.st_mode) and info.st_size == 8 * MiB
        any_site.call(host.write_at, volume, 0, data)
        assert any_site.call(host.read_at, volume) == data
    assert os.listdir(directory) == []
    with any_site.attached(document["name"]) as volume:
        assert any_site.call(host.read_at, volume) == data


@pytest.mark.parametrize("sector_size", [512, 4096])
def test_small_and_odd_sizes(site, sector_size):
    """One sector alone, and an odd number of them, are volumes like others."""
    for sectors in [1, 7]:
        size = sectors * sector_size
        document = site.volume(str(size), "--sector-size", str(sector_size))
        assert document["size"] == size
        data = os.urandom(size)
        with site.attached(document["name"]) as volume:
            site.call(host.write_at, volume, 0, data[:size // 2 + 1])
            site.call(host.write_at, volume, size // 2 + 1, data[size // 2 + 1:])
        with site.attached(document["name"]) as volume:
            assert site.call(host.read_at, volume) == data


def test_a_volume_is_named_by_name_id_or_path(site):
    document = site.volume("1M")
    for number, name in enumerate([document["name"], document["id"], document["image"]]):
        with site.attached(name) as volume:
            site.call(host.write_at, volume, number, b"x")
            assert site.json("volume", "show", document["id"])["state"] == "in-use"
    with site.attached(document["name"], "--read-only") as volume:
        assert site.call(host.read_at, volume, 0, 3) == b"xxx"


def test_relative_paths(site):
    document = site.volume("1M", "--image", "relative.img")
    directory = site.directory("relative")
    site.coffer("attach", "./relative.img", directory.name).ok()
    assert site.json("attachment", "show", directory.name)["mountpoint"] == str(directory)
    site.coffer("detach", f"./{directory.name}/").ok()
    site.coffer("volume", "delete", document["name"]).ok()


def test_an_image_outside_the_catalog_is_attached_by_its_path(site):
    """The image says by itself which key it needs: a copy of it attaches too."""
    document = site.volume("1M")
    with site.attached(document["name"]) as volume:
        site.call(host.write_at, volume, 0, b"original")
    copy = site.path("copy.img")
    copy.write_bytes(open(document["image"], "rb").read())
    site.own(copy)
    with site.attached(copy) as volume:
        assert site.call(host.read_at, volume, 0, 8) == b"original"
        site.call(host.write_at, volume, 0, b"the copy")
    with site.attached(document["name"]) as volume:
        assert site.call(host.read_at, volume, 0, 8) == b"original"


def test_key_id_overrides_the_token(site):
    document, passphrase = site.known_volume("1M")
    other = site.json("key", "import", "--format", "hex", input=passphrase)["id"]
    with site.attached(document["name"], "--key-id", other):
        assert site.json("attachment", "list")[0]["key_id"] == other


def test_documents_say_who_serves_what(site):
    document = site.volume("1M")
    directory = site.directory()
    with site.attached(document["name"], directory=directory):
        shown = site.json("attachment", "show", directory)
        (listed,) = site.json("attachment", "list")
        assert listed == {name: shown[name] for name in listed}
        assert (shown["volume"], shown["size"], shown["sector_size"]) == (document["name"], MiB, 4096)
        assert shown["volume_id"] == document["id"] and shown["key_id"] == document["key_id"]
        assert shown["uid"] == site.persona.uid and shown["read_only"] is False
        assert shown["mountpoint"] == str(directory) and shown["image"] == document["image"]
        assert host.is_running(shown["pid"])
        assert os.stat(f"/proc/{shown['pid']}").st_uid in (site.persona.uid, 0)
        volume = site.json("volume", "show", document["name"])
        assert volume["state"] == "in-use"
        assert (volume["mountpoint"], volume["pid"]) == (str(directory), shown["pid"])
    assert site.json("attachment", "list") == []
    assert site.json("volume", "show", document["name"]) == document


def test_detach_returns_when_the_server_has_gone(site):
    document = site.volume("32M")
    directory = site.directory()
    for _ in range(5):
        site.coffer("attach", document["name"], directory).ok()
        pid = site.server(directory)
        site.call(fill, directory / "volume", 32 * MiB)
        site.coffer("detach", directory).ok()
        assert not host.is_running(pid)
        assert host.mounts(directory) == []


def fill(path, size):
    """Writes without syncing."""
    with open(path, "r+b") as file:
        file.write(random.Random(1).randbytes(size))


def test_volumes_come_and_go_at_once(site):
    """Several are attached and detached side by side, again and again."""
    names = [site.volume("1M")["name"] for _ in range(4)]
    failures = []

    def come_and_go(name):
        directory = site.directory()
        for _ in range(12):
            for command in [["attach", name, directory], ["detach", directory]]:
                result = site.coffer(*command)
                if result.code != 0:
                    failures.append(str(result))
                    return

    threads = [threading.Thread(target=come_and_go, args=[name]) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert site.json("attachment", "list") == []


def test_detach_is_refused_while_a_file_is_open(site):
    document = site.volume("1M")
    directory = site.directory()
    with site.attached(document["name"], directory=directory) as volume:
        holder = host.Background(site.persona, hold_open, volume, directory.parent / "held")
        try:
            assert host.eventually(lambda: (directory.parent / "held").exists())
            check_error(site.coffer("detach", directory), Exit.CONFLICT, directory)
            assert site.call(host.read_at, volume, 0, 1)
        finally:
            holder.stop()
            (directory.parent / "held").unlink()


def hold_open(path, sign):
    with open(path, "rb"):
        sign.touch()
        signal.pause()


def test_detach_of_what_is_not_attached(site):
    directory = site.directory()
    for path in [directory, site.work / "missing"]:
        check_error(site.coffer("detach", path), Exit.BAD_MOUNTPOINT, path)
        check_error(site.coffer("attachment", "show", path), Exit.BAD_MOUNTPOINT, path)


def test_read_only(site):
    document, _ = site.known_volume("1M")
    with site.attached(document["name"]) as volume:
        site.call(host.write_at, volume, 0, b"before")
    before = site.snapshot(document["image"])
    directory = site.directory()
    with site.attached(document["name"], "--read-only", directory=directory) as volume:
        assert site.call(host.read_at, volume, 0, 6) == b"before"
        with pytest.raises(OSError) as caught:
            site.call(host.write_at, volume, 0, b"after")
        assert caught.value.errno in (errno.EROFS, errno.EACCES, errno.EPERM)
        assert site.json("attachment", "show", directory)["read_only"] is True
        assert "ro" in host.mount_at(directory).options
    assert site.snapshot(document["image"]) == before


def test_two_readers_share_an_image(site):
    document = site.volume("1M")
    with site.attached(document["name"], "--read-only") as first:
        with site.attached(document["name"], "--read-only") as second:
            assert site.call(host.read_at, first) == site.call(host.read_at, second)
            check_error(site.coffer("attach", document["name"], site.directory()), Exit.CONFLICT)


def test_only_the_user_may_look_in(user_site):
    document = user_site.volume("1M")
    with user_site.attached(document["name"]) as volume:
        with pytest.raises(PermissionError):
            host.read_at(volume, 0, 1)


@pytest.fixture
def fuse_conf(tmp_path):
    """Sets what /etc/fuse.conf says while a test runs."""
    real = "/etc/fuse.conf"

    def write(text):
        other = tmp_path / "fuse.conf"
        other.write_text(text)
        other.chmod(0o644)
        host.bind(other, real)

    yield write
    host.unbind(real)


def test_allow_other(user_site, fuse_conf):
    """Root, for example, which then can put a loop device over the image; others by the file's mode."""
    fuse_conf("user_allow_other\n")
    document = user_site.volume("1M")
    with user_site.attached(document["name"], "--allow-other") as volume:
        assert "allow_other" in host.mount_at(volume.parent).options
        assert len(host.read_at(volume)) == MiB
        with pytest.raises(PermissionError):
            host.call_as(host.Persona("nobody", 65534, 65534), os.listdir, volume.parent)


def test_allow_other_needs_the_administrators_consent(user_site, fuse_conf):
    fuse_conf("")
    document = user_site.volume("1M")
    before = user_site.snapshot(document["image"])
    result = user_site.coffer("attach", document["name"], user_site.directory(), "--allow-other")
    check_error(result, Exit.NOT_PERMITTED, "user_allow_other", "/etc/fuse.conf")
    assert user_site.snapshot(document["image"]) == before


def test_foreground(site):
    document = site.volume("1M")
    directory = site.directory()
    environment = site.environment
    runner = host.Background(site.persona, os.execve, site.programs / "coffer",
                             ["coffer", "attach", document["name"], str(directory), "--foreground"], environment)
    try:
        assert host.eventually(lambda: host.mount_at(directory))
        assert host.eventually(lambda: site.json("attachment", "list"))
        site.call(host.write_at, directory / "volume", 0, b"foreground")
        assert host.is_running(runner.pid)
        site.coffer("detach", directory).ok()
        assert runner.wait() == 0
    finally:
        runner.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_foreground_ends_by_a_signal(site, number):
    document = site.volume("1M")
    directory = site.directory()
    runner = host.Background(site.persona, os.execve, site.programs / "coffer",
                             ["coffer", "attach", document["name"], str(directory), "--foreground"],
                             site.environment)
    try:
        assert host.eventually(lambda: site.json("attachment", "list"))
        os.kill(runner.pid, number)
        runner.wait()
        assert host.eventually(lambda: not host.mounts(directory))
        assert host.eventually(lambda: not site.json("attachment", "list"))
    finally:
        runner.stop()


def refuses(function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        return error.errno
    return None


def test_the_image_keeps_its_size_and_its_place(site):
    """No truncation, no growing, no other files."""
    document = site.volume("1M")
    data = os.urandom(MiB)
    with site.attached(document["name"]) as volume:
        site.call(host.write_at, volume, 0, data)
        assert site.call(refuses, os.truncate, volume, 0)
        assert site.call(refuses, os.truncate, volume, 2 * MiB)
        assert site.call(refuses, host.write_at, volume, MiB, b"behind the end") in (errno.ENOSPC, errno.EFBIG)
        assert site.call(refuses, os.unlink, volume)
        assert site.call(refuses, os.rename, volume, volume.parent / "other")
        assert site.call(refuses, os.mkdir, volume.parent / "directory")
        assert site.call(refuses, os.mknod, volume.parent / "file")
        assert site.call(host.read_at, volume, MiB, 10) == b""
        assert site.call(host.read_at, volume, MiB - 5, 10) == data[-5:]
        assert site.call(os.stat, volume).st_size == MiB
        assert site.call(host.read_at, volume) == data


def test_truncating_open_loses_nothing(site):
    """As a shell's `>` does it."""
    document = site.volume("1M")
    with site.attached(document["name"]) as volume:
        site.call(host.write_at, volume, 0, b"kept")
        site.call(refuses, os.open, volume, os.O_WRONLY | os.O_TRUNC)
        assert site.call(os.stat, volume).st_size == MiB
        assert site.call(host.read_at, volume, 0, 4) == b"kept"


def zero_and_read(path):
    """Punches and zeroes ranges that touch sectors in part; gives the whole content."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        host.fallocate(descriptor, host.PUNCH, 100_001, 50_003)
        host.fallocate(descriptor, host.ZERO_RANGE, 300_007, 12_345)
        host.fallocate(descriptor, host.PUNCH, 512 * 1024, 256 * 1024)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return host.read_at(path)


@pytest.mark.parametrize("sector_size", [512, 4096])
def test_punched_and_zeroed_ranges_read_as_zeros(site, sector_size):
    document, passphrase = site.known_volume("1M", "--sector-size", str(sector_size))
    expected = bytearray(os.urandom(MiB))
    with site.attached(document["name"]) as volume:
        site.call(host.write_at, volume, 0, bytes(expected))
        for start, length in [(100_001, 50_003), (300_007, 12_345), (512 * 1024, 256 * 1024)]:
            expected[start:start + length] = bytes(length)
        assert site.call(zero_and_read, volume) == bytes(expected)
    with site.attached(document["name"]) as volume:
        assert site.call(host.read_at, volume) == bytes(expected)
    assert luks.decrypted(document["image"], passphrase) == bytes(expected)


def holes(path):
    """[(start, end)] of the data as lseek tells it."""
    descriptor = os.open(path, os.O_RDONLY)
    end, position, found = os.fstat(descriptor).st_size, 0, []
    try:
        while position < end:
            try:
                start = os.lseek(descriptor, position, os.SEEK_DATA)
            except OSError as error:
                assert error.errno == errno.ENXIO
                break
            position = os.lseek(descriptor, start, os.SEEK_HOLE)
            assert position > start
            found.append((start, position))
    finally:
        os.close(descriptor)
    return found


def test_lseek_never_hides_data(site):
    """Data that was written is never in what lseek calls a hole."""
    document = site.volume("16M")
    with site.attached(document["name"]) as volume:
        written = [(0, 5), (3 * MiB + 17, MiB), (9 * MiB, 4096), (16 * MiB - 1, 1)]
        for offset, length in written:
            site.call(host.write_at, volume, offset, b"d" * length)
        data = site.call(holes, volume)
        for offset, length in written:
            assert any(start <= offset and offset + length <= end for start, end in data), (offset, data)
