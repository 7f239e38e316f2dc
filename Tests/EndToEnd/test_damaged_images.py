"""Damaged and truncated images: refused without being changed, or healed and said so."""

import os

import pytest

from harness import host, luks
from harness.programs import Exit, check_error, check_json_error

MiB = 1 << 20
HEADER = 16384  # each of the two copies of a LUKS2 header
DATA = 16 * MiB


@pytest.fixture
def volume(site):
    document, passphrase = site.known_volume("2M")
    with site.attached(document["name"]) as attached:
        site.call(host.write_at, attached, 0, b"precious")
    return document


def overwrite(image, offset, data):
    with open(image, "r+b") as file:
        file.seek(offset)
        file.write(data)


def check_refused(site, document, *mentions):
    image = document["image"]
    before = site.snapshot(image)
    for name in [document["name"], image]:
        directory = site.directory()
        check_error(site.coffer("attach", name, directory), Exit.BAD_IMAGE, image, *mentions)
        check_json_error(site.coffer("attach", name, directory, "--json"), Exit.BAD_IMAGE)
        check_error(site.coffer("attach", name, directory, "--read-only"), Exit.BAD_IMAGE, image, *mentions)
    assert site.snapshot(image) == before


def test_both_headers_damaged(site, volume):
    for copy in [0, HEADER]:
        overwrite(volume["image"], copy + 4096 + 20, os.urandom(64))
    check_refused(site, volume)


def test_both_headers_zeroed(site, volume):
    overwrite(volume["image"], 0, bytes(2 * HEADER))
    check_refused(site, volume)


@pytest.mark.parametrize("place", ["json", "binary"])
@pytest.mark.parametrize("copy", [0, 1], ids=["primary", "secondary"])
def test_one_header_damaged_is_healed_and_said(site, volume, copy, place):
    image = volume["image"]
    offset = copy * HEADER + (4096 + 20 if place == "json" else 110)
    overwrite(image, offset, os.urandom(16))
    assert luks.sound_headers(image) == {1 - copy}
    directory = site.directory()
    result = site.coffer("attach", volume["name"], directory).ok()
    try:
        assert "header" in result.err and "repaired" in result.err, f"the repair is not told: {result}"
        assert site.call(host.read_at, directory / "volume", 0, 8) == b"precious"
    finally:
        site.coffer("detach", directory).ok()
    assert luks.sound_headers(image) == {0, 1}


def test_whole_header_is_not_spoken_of(site, volume):
    directory = site.directory()
    result = site.coffer("attach", volume["name"], directory).ok()
    site.coffer("detach", directory).ok()
    assert result.err == ""
    assert luks.sound_headers(volume["image"]) == {0, 1}


def test_keyslot_area_damaged(site, volume):
    """The header is whole but the keyslot's material is not: the key no longer opens it."""
    overwrite(volume["image"], 2 * HEADER, os.urandom(258048))
    image = volume["image"]
    before = site.snapshot(image)
    result = site.coffer("attach", volume["name"], site.directory())
    assert result.code in (Exit.WRONG_KEY, Exit.BAD_IMAGE), str(result)
    check_error(result, result.code, image)
    assert site.snapshot(image) == before


@pytest.mark.parametrize("size", [
    0, 100, 4096, HEADER, 2 * HEADER, DATA - 4096, DATA, DATA + MiB, DATA + 2 * MiB - 4096, DATA + 2 * MiB - 1])
def test_truncated(site, volume, size):
    os.truncate(volume["image"], size)
    check_refused(site, volume)


def test_size_that_is_no_multiple_of_the_sector(site):
    """An image made elsewhere whose data end within a sector."""
    image = site.path("odd")
    luks.format_luks2(image, b"pass", bytes(MiB))
    with open(image, "ab") as file:
        file.write(b"half a sector")
    before = site.snapshot(site.own(image))
    check_error(site.coffer("volume", "import", image, input=b"pass"), Exit.BAD_IMAGE, image)
    assert site.snapshot(image) == before


def test_image_deleted_behind_the_daemons_back(site, volume):
    os.unlink(volume["image"])
    check_error(site.coffer("attach", volume["name"], site.directory()), Exit.NOT_FOUND, volume["image"])
    site.coffer("volume", "delete", volume["name"]).ok()


@pytest.mark.parametrize("kind", ["directory", "fifo", "device"])
def test_image_that_is_no_file(site, kind):
    path = site.path("odd")
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
        site.own(path)
    else:
        path = "/dev/null"
    result = site.coffer("attach", path, site.directory())
    check_error(result, Exit.NOT_FOUND, path)


def test_luks1_header_damaged(site):
    image = site.path("luks1")
    luks.format_luks1(image, b"pass", bytes(MiB))
    name = site.new_name("luks1")
    site.coffer("volume", "import", site.own(image), "--name", name, input=b"pass").ok()
    overwrite(image, 0, bytes(592))
    before = site.snapshot(image)
    check_error(site.coffer("attach", name, site.directory()), Exit.BAD_IMAGE, image)
    assert site.snapshot(image) == before


def test_image_replaced_by_another_volumes(site, volume):
    """The header's token names another key and volume than the catalog does."""
    other = site.volume("2M")
    content = open(other["image"], "rb").read()
    overwrite(volume["image"], 0, content)
    before = site.snapshot(volume["image"])
    result = site.coffer("attach", volume["name"], site.directory())
    assert result.code in (Exit.WRONG_KEY, Exit.BAD_IMAGE), str(result)
    check_error(result, result.code, volume["image"])
    assert site.snapshot(volume["image"]) == before
