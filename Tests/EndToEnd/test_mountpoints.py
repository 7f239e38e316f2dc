"""Mountpoints that cannot be used; a stale one is in test_server_crash."""

import os
import subprocess

import pytest

from harness import host
from harness.programs import Exit, check_error, check_json_error


@pytest.fixture(scope="module")
def volume(site):
    return site.volume("1M")


def check_refused(site, volume, directory, *mentions):
    before = site.snapshot(volume["image"])
    check_error(site.coffer("attach", volume["name"], directory), Exit.BAD_MOUNTPOINT, directory, *mentions)
    check_json_error(site.coffer("attach", volume["name"], directory, "--json"), Exit.BAD_MOUNTPOINT)
    assert site.snapshot(volume["image"]) == before


def test_missing(site, volume):
    check_refused(site, volume, site.work / "missing")
    assert not (site.work / "missing").exists()


def test_not_a_directory(site, volume):
    path = site.path()
    path.write_bytes(b"x")
    check_refused(site, volume, site.own(path))
    assert path.read_bytes() == b"x"


def test_not_empty(site, volume):
    directory = site.directory()
    (directory / "letter").write_bytes(b"x")
    check_refused(site, volume, directory, "empty")
    assert os.listdir(directory) == ["letter"]


def test_attached_already(site, volume):
    other = site.volume("1M")
    with site.attached(other["name"]) as attached:
        check_refused(site, volume, attached.parent)
        site.call(host.read_at, attached, 0, 1)


def test_something_else_is_mounted(site, volume):
    directory = site.directory()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "tmpfs", directory], check=True)
    try:
        check_refused(site, volume, directory)
    finally:
        subprocess.run(["umount", directory], check=True)


def test_directory_of_another_user(user_site, root_site):
    document = user_site.volume("1M")
    directory = root_site.directory()
    before = user_site.snapshot(document["image"])
    check_error(user_site.coffer("attach", document["name"], directory), Exit.NOT_PERMITTED, directory)
    assert user_site.snapshot(document["image"]) == before


def test_link_to_a_directory(site, volume):
    """The directory that the link names is the mountpoint, by each of its names."""
    directory = site.directory()
    link = site.path("link")
    link.symlink_to(directory)
    site.coffer("attach", volume["name"], link).ok()
    assert site.json("attachment", "show", link)["mountpoint"] == str(directory)
    site.coffer("detach", link).ok()


def test_path_with_spaces_and_other_scripts(site, volume):
    directory = site.directory("a b\tc, d\\e ü 数")
    with site.attached(volume["name"], directory=directory):
        assert site.json("attachment", "show", directory)["mountpoint"] == str(directory)
