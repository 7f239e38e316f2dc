"""Volumes: created in the pool, at a path and on a block device, listed, shown, deleted."""

import os
import stat
import subprocess

import pytest

from harness import host, luks
from harness.programs import Exit, check_error, check_json_error, is_uuid

MiB = 1 << 20


def test_image_in_the_pool(any_site):
    document = any_site.volume("64M")
    assert document["size"] == 64 * MiB and document["sector_size"] == 4096
    assert document["state"] == "available" and document["in_pool"] is True and document["luks_version"] == 2
    info = os.stat(document["image"])
    assert info.st_size == 16 * MiB + 64 * MiB
    assert info.st_blocks * 512 < 24 * MiB, "the image is not sparse"
    assert (info.st_uid, stat.S_IMODE(info.st_mode)) == (any_site.persona.uid, 0o600)
    assert document in any_site.json("volume", "list")
    assert any_site.json("volume", "show", document["name"]) == document
    assert any_site.json("volume", "show", document["id"]) == document


@pytest.mark.parametrize("sector_size", [512, 4096])
def test_header_is_as_designed(site, sector_size):
    document, passphrase = site.known_volume("4M", "--sector-size", sector_size)
    header = luks.metadata(document["image"])
    (segment,) = header["segments"].values()
    assert segment["encryption"] == "aes-xts-plain64" and segment["sector_size"] == sector_size
    assert segment["offset"] == str(16 * MiB)
    assert len(luks.data_area(document["image"], passphrase).volume_key) == 64
    (token,) = header["tokens"].values()
    assert token == {"type": "coffer", "keyslots": ["0"], "key_id": document["key_id"], "volume_id": document["id"]}
    (slot,) = header["keyslots"].values()
    assert slot["kdf"]["type"] == "pbkdf2" and slot["kdf"]["hash"] == "sha256"


def test_a_given_key_is_cloned(site):
    key = site.json("key", "create")["id"]
    document = site.volume("1M", "--key-id", key)
    assert document["key_id"] != key
    site.coffer("volume", "delete", document["name"]).ok()
    keys = [entry["id"] for entry in site.json("key", "list")]
    assert key in keys and document["key_id"] not in keys


def test_delete_removes_image_and_key(site):
    document = site.volume("1M")
    site.coffer("volume", "delete", document["id"]).ok()
    assert not os.path.exists(document["image"])
    check_error(site.coffer("volume", "show", document["name"]), Exit.NOT_FOUND, document["name"])
    check_error(site.coffer("key", "show", document["key_id"]), Exit.NOT_FOUND)


def test_image_at_a_path(site):
    path = site.path("image")
    document = site.volume("4M", "--image", path)
    assert document["image"] == str(path) and document["in_pool"] is False
    assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (site.persona.uid, 0o600)
    with site.attached(document["name"]) as volume:
        site.call(host.write_at, volume, 0, b"data")


def test_image_path_may_be_relative_to_where_the_command_runs(site):
    name = site.new_name("image")
    assert site.volume("1M", "--image", name)["image"] == str(site.work / name)


def test_existing_file_is_not_overwritten(site):
    path = site.path("precious")
    path.write_bytes(b"precious")
    site.own(path)
    before = site.snapshot(path)
    for options in [[], ["--force"]]:
        result = site.coffer("volume", "create", site.new_name(), "--size", "1M", "--image", path, *options)
        check_error(result, Exit.CONFLICT, path)
    assert site.snapshot(path) == before


def test_image_in_a_directory_that_is_not_the_users(user_site, guest_site):
    """The system's daemon has no more rights for a user than the user has."""
    for site in [user_site, guest_site]:
        before = site.snapshot()
        path = "/usr/share/coffer-test-image"
        result = site.coffer("volume", "create", site.new_name(), "--size", "1M", "--image", path)
        check_error(result, Exit.NOT_PERMITTED, path)
        assert not os.path.exists(path)
        assert site.snapshot() == before


@pytest.fixture
def device(root_site):
    backing = root_site.path("disk")
    with open(backing, "wb") as file:
        file.truncate(48 * MiB)
    name = subprocess.run(["losetup", "--find", "--show", backing], check=True, capture_output=True,
                          text=True).stdout.strip()
    yield name
    subprocess.run(["losetup", "--detach", name], check=True)


def test_block_device(root_site, device):
    """The volume takes the device; deleting it gives the device back."""
    document = root_site.json("volume", "create", "on a device", "--image", device)
    assert document["size"] == 32 * MiB and document["in_pool"] is False and document["image"] == device
    data = os.urandom(MiB)
    with root_site.attached(document["name"]) as volume:
        assert os.stat(volume).st_size == 32 * MiB
        host.write_at(volume, 12345, data)
    with root_site.attached(document["name"]) as volume:
        assert host.read_at(volume, 12345, MiB) == data
    root_site.coffer("volume", "delete", document["name"]).ok()
    assert b"LUKS" not in open(device, "rb").read(16 * MiB)


def test_block_device_that_is_not_empty(root_site, device):
    subprocess.run(["mkfs.ext4", "-q", device], check=True)
    before = root_site.snapshot()
    check_error(root_site.coffer("volume", "create", "over it", "--image", device), Exit.CONFLICT, device, "--force")
    assert root_site.snapshot() == before
    subprocess.run(["e2fsck", "-fn", device], check=True, capture_output=True)
    root_site.coffer("volume", "create", "over it", "--image", device, "--force").ok()
    root_site.coffer("volume", "delete", "over it").ok()


def test_size_on_a_block_device_is_not_ignored(root_site, device):
    before = root_site.snapshot()
    result = root_site.coffer("volume", "create", "small", "--size", "16M", "--image", device, "--json")
    if result.code == 0:
        assert result.json()["size"] == 16 * MiB
    else:
        assert result.code == Exit.USAGE and root_site.snapshot() == before, str(result)


@pytest.mark.parametrize("options", [
    ["--size", "1000001"], ["--size", "0"], ["--size", "much"], ["--size=-1M"], ["--size", "99999999999T"],
    ["--size", "513", "--sector-size", "512"], ["--size", "1M", "--sector-size", "1000"], []])
def test_bad_sizes_are_refused(site, options):
    before = site.snapshot()
    result = site.coffer("volume", "create", "odd", *options)
    assert result.code == Exit.USAGE and result.err and not result.out, str(result)
    assert site.snapshot() == before


def test_a_size_that_is_no_multiple_of_the_sector_says_so(site):
    result = site.coffer("volume", "create", "odd", "--size", "1000001")
    check_error(result, Exit.USAGE, "1000001", "4096")
    check_json_error(site.coffer("volume", "create", "odd", "--size", "1000001", "--json"), Exit.USAGE)


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", "x" * 256])
def test_bad_names_are_refused(site, name):
    before = site.snapshot()
    result = site.coffer("volume", "create", "--size", "1M", "--", name)
    assert result.code == Exit.USAGE and result.err, str(result)
    assert site.snapshot() == before


def test_a_name_is_taken_once(site):
    name = site.volume("1M")["name"]
    before = site.snapshot()
    check_error(site.coffer("volume", "create", name, "--size", "1M"), Exit.CONFLICT, name)
    assert site.snapshot() == before


def test_names_of_other_scripts(site):
    name = "Ñandú 数据 volume"
    site.coffer("volume", "create", name, "--size", "1M").ok()
    assert site.json("volume", "show", name)["name"] == name
    site.coffer("volume", "delete", name).ok()


def test_create_with_an_unknown_key(site):
    unknown = "6a8c1a3e-2b07-4b7e-9a52-0a1f1f2e3d4c"
    before = site.snapshot()
    result = site.coffer("volume", "create", "keyless", "--size", "1M", "--key-id", unknown)
    check_error(result, Exit.NOT_FOUND, unknown)
    assert site.snapshot() == before


def test_delete_is_refused_while_attached(site):
    document = site.volume("1M")
    with site.attached(document["name"]):
        before = site.snapshot(document["image"])
        check_error(site.coffer("volume", "delete", document["name"]), Exit.CONFLICT, document["name"])
        assert site.snapshot(document["image"]) == before
    site.coffer("volume", "delete", document["name"]).ok()


def test_another_users_volume_does_not_exist(make_site, guest_site):
    owner = make_site(host.ROOT)
    other = guest_site.at(owner.daemon)
    document = owner.volume("1M")
    directory = other.directory()
    before = owner.snapshot(document["image"])
    for name in [document["name"], document["id"]]:
        for command in [["volume", "show", name], ["volume", "delete", name], ["attach", name, directory]]:
            check_error(other.coffer(*command), Exit.NOT_FOUND, name)
    assert other.json("volume", "list") == []
    assert owner.snapshot(document["image"]) == before
    # The same name may be had by both.
    assert is_uuid(other.json("volume", "create", document["name"], "--size", "1M")["id"])
