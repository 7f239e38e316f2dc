"""mount -t coffer, mount.coffer and coffer mount without a file system: options and exit codes of mount(8)."""

import os
import shutil
import stat
import subprocess

import pytest

from harness import host
from harness.programs import Exit, MountExit, check_error, run

MiB = 1 << 20

pytestmark = pytest.mark.usefixtures("mount_type")


@pytest.fixture(scope="module")
def volume(site):
    return site.volume("1M")


@pytest.fixture(scope="module")
def root_volume(root_site):
    return root_site.volume("1M")


def mount(site, *arguments, **more):
    """mount(8) itself."""
    return run(["mount", *arguments], env=site.environment, cwd=site.work, **more)


def umount(site, directory):
    result = run(["umount", directory], env=site.environment)
    assert result.code == 0, str(result)
    assert gone(site, directory)


def gone(site, directory):
    """Whether nothing is left of a mount: umount(8) does not wait for the process that served it."""
    return host.eventually(lambda: not host.mounts(directory) and not site.json("attachment", "list")
                           and not host.loop_devices_below(site.work)
                           and {"mount.coffer", "coffer"}.isdisjoint(host.programs_running(site.programs).values()))


def test_mount_and_umount(root_site, root_volume):
    directory = root_site.directory()
    mount(root_site, "-t", "coffer", root_volume["name"], directory).ok()
    # It returned when the mount was usable.
    host.write_at(directory / "volume", 0, b"mounted")
    attachment = root_site.json("attachment", "show", directory)
    assert attachment["volume_id"] == root_volume["id"]
    umount(root_site, directory)
    assert not host.is_running(attachment["pid"])


def test_mount_of_an_image_by_path(root_site, root_volume):
    directory = root_site.directory()
    mount(root_site, "-t", "coffer", root_volume["image"], directory).ok()
    umount(root_site, directory)


def test_detach_undoes_a_mount(root_site, root_volume):
    directory = root_site.directory()
    mount(root_site, "-t", "coffer", root_volume["name"], directory).ok()
    root_site.coffer("detach", directory).ok()
    assert not host.mounts(directory)


@pytest.mark.parametrize("way", ["mount.coffer", "coffer mount"])
def test_helper_by_hand(site, volume, way):
    """Also as an ordinary user."""
    directory = site.directory()
    program, *first = way.split()
    site.run(program, *first, volume["name"], directory, "-o", "rw").ok()
    site.call(host.write_at, directory / "volume", 0, b"by hand")
    site.coffer("detach", directory).ok()


@pytest.mark.parametrize("options", [
    "defaults", "rw,nofail,_netdev,noauto,auto,user,users,nouser,owner,group",
    "x-systemd.automount,x-systemd.requires=network.target,x-anything", "async,relatime,noatime,diratime,nodiratime",
    "comment=a word", "suid,dev,exec"])
def test_options_that_are_not_coffers(site, volume, options):
    directory = site.directory()
    site.run("mount.coffer", volume["name"], directory, "-o", options).ok()
    site.coffer("detach", directory).ok()


@pytest.mark.parametrize("flags", [["-n"], ["-v"], ["-s"], ["-n", "-v", "-s"], ["-nvs"], ["-sv", "-o", "ro"]],
                         ids=" ".join)
@pytest.mark.parametrize("place", ["before", "after"])
def test_flags(site, volume, flags, place):
    directory = site.directory()
    arguments = [volume["name"], directory]
    site.run("mount.coffer", *(flags + arguments if place == "before" else arguments + flags)).ok()
    assert host.mount_at(directory)
    site.coffer("detach", directory).ok()


def test_fake_mounts_nothing(site, volume):
    directory = site.directory()
    before = site.snapshot(volume["image"])
    site.run("mount.coffer", volume["name"], directory, "-f").ok()
    assert site.snapshot(volume["image"]) == before


def test_namespace_flag(root_site, root_volume):
    """mount(8) hands -N on with the namespace's path."""
    directory = root_site.directory()
    root_site.run("mount.coffer", root_volume["name"], directory, "-N", "/proc/self/ns/mnt").ok()
    root_site.coffer("detach", directory).ok()


def test_read_only(site, volume):
    directory = site.directory()
    site.run("mount.coffer", volume["name"], directory, "-o", "ro").ok()
    with pytest.raises(OSError):
        site.call(host.write_at, directory / "volume", 0, b"x")
    assert site.json("attachment", "show", directory)["read_only"] is True
    site.coffer("detach", directory).ok()


def test_read_only_by_mounts_own_flag(root_site, root_volume):
    directory = root_site.directory()
    mount(root_site, "-r", "-t", "coffer", root_volume["name"], directory).ok()
    with pytest.raises(OSError):
        host.write_at(directory / "volume", 0, b"x")
    umount(root_site, directory)


def test_restricting_options_are_honoured(root_site, root_volume):
    directory = root_site.directory()
    mount(root_site, "-t", "coffer", "-o", "nosuid,nodev,noexec", root_volume["name"], directory).ok()
    assert {"nosuid", "nodev", "noexec"} <= host.mount_at(directory).options
    umount(root_site, directory)


def test_allow_other_uid_and_gid(root_site, root_volume, user):
    directory = root_site.directory()
    mount(root_site, "-t", "coffer", "-o", f"allow_other,uid={user.uid},gid={user.gid}", root_volume["name"],
          directory).ok()
    info = os.stat(directory / "volume")
    assert (info.st_uid, info.st_gid) == (user.uid, user.gid) and stat.S_ISREG(info.st_mode)
    host.call_as(user, host.write_at, directory / "volume", 0, b"the user's")
    assert host.call_as(user, host.read_at, directory / "volume", 0, 10) == b"the user's"
    umount(root_site, directory)


def test_unknown_option(site, volume):
    directory = site.directory()
    before = site.snapshot(volume["image"])
    result = site.run("mount.coffer", volume["name"], directory, "-o", "rw,frobnicate=3")
    check_error(result, MountExit.USAGE, "frobnicate")
    assert site.snapshot(volume["image"]) == before
    site.run("mount.coffer", volume["name"], directory, "-s", "-o", "rw,frobnicate=3").ok()
    site.coffer("detach", directory).ok()


@pytest.mark.parametrize("arguments", [[], ["only-a-volume"], ["a", "b", "c"], ["a", "b", "-Z"], ["a", "b", "-o"],
                                       ["a", "b", "-o", "uid=nobody-at-all"], ["a", "b", "-o", "ro,uid="]],
                         ids=" ".join)
def test_usage(site, arguments):
    check_error(site.run("mount.coffer", *arguments), MountExit.USAGE)


def test_failures_are_told_on_stderr(site, volume):
    """Exit code 32 and the same text that coffer attach has."""
    directory = site.directory()
    before = site.snapshot(volume["image"])
    key = "6a8c1a3e-2b07-4b7e-9a52-0a1f1f2e3d4c"
    check_error(site.run("mount.coffer", "nosuchvolume", directory), MountExit.FAILURE, "nosuchvolume")
    check_error(site.run("mount.coffer", volume["name"], site.work / "missing"), MountExit.FAILURE, "missing")
    check_error(site.run("mount.coffer", volume["name"], directory, "-o", f"key-id={key}"), MountExit.FAILURE, key)
    check_error(site.run("mount.coffer", volume["name"], directory, env={"COFFER_SOCKET": "/nobody.sock"}),
                MountExit.FAILURE, "/nobody.sock")
    assert site.snapshot(volume["image"]) == before


def test_failures_reach_mounts_caller(root_site):
    directory = root_site.directory()
    result = mount(root_site, "-t", "coffer", "nosuchvolume", directory)
    assert result.code == MountExit.FAILURE and "nosuchvolume" in result.err


def test_coffer_mount_fails_as_coffer_does(site):
    check_error(site.coffer("mount", "nosuchvolume", site.directory()), Exit.NOT_FOUND, "nosuchvolume")


def test_mounted_already(site, volume):
    directory = site.directory()
    with site.attached(volume["name"], directory=directory):
        other = site.volume("1M")
        check_error(site.run("mount.coffer", other["name"], directory), MountExit.FAILURE, directory)
        check_error(site.run("mount.coffer", volume["name"], site.directory()), MountExit.FAILURE, volume["image"])


def test_fstab(root_site, root_volume):
    """The line as one writes it into fstab, and mount and umount by the directory alone."""
    directory = root_site.directory("with space")
    table = root_site.path("fstab")
    escaped = str(directory).replace(" ", "\\040")
    table.write_text(f"{root_volume['name']} {escaped} coffer noauto,nofail,nosuid,_netdev,x-systemd.automount 0 0\n")
    mount(root_site, "--fstab", table, directory).ok()
    assert host.mount_at(directory) and "nosuid" in host.mount_at(directory).options
    umount(root_site, directory)


def test_mount_in_a_bare_environment(root_site, root_volume):
    """As init does it: neither HOME nor XDG directories; the socket is told by an option."""
    directory = root_site.directory()
    run(["mount", "-t", "coffer", "-o", f"socket={root_site.daemon.socket}", root_volume["name"], directory],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}).ok()
    umount(root_site, directory)


def test_server_survives_its_terminal(site, volume):
    """Hanging up where it was started does not end it."""
    directory = site.directory()
    command = ["setsid", "--wait", "sh", "-c", '"$@"; kill -HUP -$$', "sh", str(site.programs / "coffer"), "attach",
               volume["name"], str(directory)]
    run(command, site.persona, site.environment)
    assert site.call(host.read_at, directory / "volume", 0, 1)
    assert site.call(subprocess.call, ["test", "-f", str(directory / "volume")]) == 0
    site.coffer("detach", directory).ok()


def test_programs_elsewhere_are_found(site, volume, base):
    """coffer finds its server beside itself, also when called by a link."""
    place = base / site.new_name(f"links-{site.persona.name}")
    place.mkdir(mode=0o755)
    (place / "coffer").symlink_to(site.programs / "coffer")
    directory = site.directory()
    run([place / "coffer", "attach", volume["name"], directory], site.persona, site.environment).ok()
    site.coffer("detach", directory).ok()
    shutil.rmtree(place)
