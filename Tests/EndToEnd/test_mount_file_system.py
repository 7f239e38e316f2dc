"""-o fs: the file system inside a volume is mounted through a loop device, and umount undoes all of it."""

import os
import subprocess

import pytest

from harness import host
from harness.programs import Exit, MountExit, check_error, run
from test_mount import gone, mount, umount

pytestmark = pytest.mark.usefixtures("mount_type")


def with_file_system(site, size, *command):
    document = site.volume(size)
    with site.attached(document["name"]) as volume:
        subprocess.run([*command, str(volume)], check=True, capture_output=True)
    return document


@pytest.fixture(scope="module")
def ext4(root_site):
    return with_file_system(root_site, "16M", "mkfs.ext4", "-q", "-F", "-E", "nodiscard")


def own_mounts(site):
    """On the test's own directories, and where the helper hides the decrypted image."""
    return host.mounts(site.work) + host.mounts("/run/coffer")


def check_usable(site, directory, document, kind="ext4"):
    (directory / "letter").write_bytes(b"Dear all")
    os.sync()
    assert (directory / "letter").read_bytes() == b"Dear all"
    assert host.mount_at(directory).type == kind
    assert host.volume_loops(site.work)
    assert site.json("volume", "show", document["name"])["state"] == "in-use"
    assert site.json("volume", "show", document["name"])["mountpoint"] == str(directory)


@pytest.mark.parametrize("options", ["fs=ext4", "fs", "fs=ext4,noatime,nosuid,x-anything,nofail"])
def test_umount_undoes_everything(root_site, ext4, options):
    loops = host.volume_loops(root_site.work)
    directory = root_site.directory()
    before = own_mounts(root_site)
    for _ in range(2):
        mount(root_site, "-t", "coffer", ext4["name"], directory, "-o", options).ok()
        check_usable(root_site, directory, ext4)
        run(["umount", directory], env=root_site.environment).ok()
        assert host.eventually(lambda: host.volume_loops(root_site.work) == loops), host.volume_loops(root_site.work)
        assert gone(root_site, directory)
        assert own_mounts(root_site) == before
    assert root_site.json("volume", "show", ext4["name"]) == ext4


def test_detach_undoes_everything(root_site, ext4):
    """When it returns, nothing is left."""
    loops, before = host.volume_loops(root_site.work), own_mounts(root_site)
    directory = root_site.directory()
    root_site.coffer("mount", ext4["name"], directory, "-o", "fs=ext4").ok()
    check_usable(root_site, directory, ext4)
    pid = root_site.server(directory)
    root_site.coffer("detach", directory).ok()
    assert not host.is_running(pid)
    assert (host.volume_loops(root_site.work), own_mounts(root_site)) == (loops, before)


def test_data_stay(root_site, ext4):
    directory = root_site.directory()
    data = os.urandom(3 << 20)
    mount(root_site, "-t", "coffer", ext4["name"], directory, "-o", "fs=ext4").ok()
    (directory / "data").write_bytes(data)
    umount(root_site, directory)
    mount(root_site, "-t", "coffer", ext4["name"], directory, "-o", "fs=ext4,ro").ok()
    assert (directory / "data").read_bytes() == data
    with pytest.raises(OSError):
        (directory / "data").write_bytes(b"x")
    umount(root_site, directory)
    with root_site.attached(ext4["name"]) as volume:
        subprocess.run(["e2fsck", "-fn", volume], check=True, capture_output=True)


def test_restricting_options_hold_inside(root_site, ext4):
    directory = root_site.directory()
    mount(root_site, "-t", "coffer", "-o", "fs=ext4,nosuid,nodev,noexec", ext4["name"], directory).ok()
    assert {"nosuid", "nodev", "noexec"} <= host.mount_at(directory).options
    script = directory / "script"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    with pytest.raises(PermissionError):
        subprocess.run([script], check=False)
    umount(root_site, directory)


def test_xfs(root_site):
    document = with_file_system(root_site, "320M", "mkfs.xfs", "-q", "-K", "-f")
    directory = root_site.directory()
    mount(root_site, "-t", "coffer", "-o", "fs=xfs", document["name"], directory).ok()
    check_usable(root_site, directory, document, "xfs")
    umount(root_site, directory)


def test_512_byte_sectors(root_site):
    document = root_site.volume("16M", "--sector-size", "512")
    with root_site.attached(document["name"]) as volume:
        subprocess.run(["mkfs.ext4", "-q", "-F", "-b", "1024", "-E", "nodiscard", volume], check=True)
    directory = root_site.directory()
    mount(root_site, "-t", "coffer", "-o", "fs=ext4", document["name"], directory).ok()
    check_usable(root_site, directory, document)
    umount(root_site, directory)


@pytest.mark.parametrize("options", ["fs=ext4", "fs", "fs=nosuchfs"])
def test_no_file_system_inside(root_site, options):
    """The failure undoes what had been done."""
    document = root_site.volume("1M")
    directory = root_site.directory()
    before, loops = root_site.snapshot(document["image"]), host.volume_loops(root_site.work)
    check_error(mount(root_site, "-t", "coffer", "-o", options, document["name"], directory), MountExit.FAILURE)
    assert gone(root_site, directory)
    assert root_site.snapshot(document["image"]) == before
    assert host.volume_loops(root_site.work) == loops


def test_busy_umount_changes_nothing(root_site, ext4):
    directory = root_site.directory()
    mount(root_site, "-t", "coffer", "-o", "fs=ext4", ext4["name"], directory).ok()
    with open(directory / "open", "wb") as file:
        assert run(["umount", directory], env=root_site.environment).code == MountExit.FAILURE
        check_error(root_site.coffer("detach", directory), Exit.CONFLICT, directory)
        file.write(b"still there")
        file.flush()
        os.fsync(file.fileno())
    assert (directory / "open").read_bytes() == b"still there"
    umount(root_site, directory)


def test_an_ordinary_user_is_told_why_not(user_site):
    """The file system inside takes a loop device, which is root's."""
    document = user_site.volume("1M")
    directory = user_site.directory()
    before = user_site.snapshot(document["image"])
    result = user_site.run("mount.coffer", document["name"], directory, "-o", "fs=ext4")
    assert result.code in (MountExit.USAGE, MountExit.FAILURE)
    check_error(result, result.code, "root")
    assert user_site.snapshot(document["image"]) == before


def test_server_killed_under_a_file_system(root_site, ext4):
    """Detach cleans the file system, the loop device and the dead attachment."""
    loops, before = host.volume_loops(root_site.work), own_mounts(root_site)
    directory = root_site.directory()
    mount(root_site, "-t", "coffer", "-o", "fs=ext4", ext4["name"], directory).ok()
    (directory / "synced").write_bytes(b"synced")
    os.sync()
    pid = root_site.server(directory)
    os.kill(pid, 9)
    assert host.eventually(lambda: not host.is_running(pid))
    root_site.coffer("detach", directory).ok()
    assert host.eventually(lambda: host.volume_loops(root_site.work) == loops), host.volume_loops(root_site.work)
    assert own_mounts(root_site) == before
    mount(root_site, "-t", "coffer", "-o", "fs=ext4", ext4["name"], directory).ok()
    assert (directory / "synced").read_bytes() == b"synced"
    umount(root_site, directory)
