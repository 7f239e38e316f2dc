"""What cryptsetup and qemu-img made, Coffer imports, attaches and reads; and what it then writes, they read."""

import os

import pytest

from harness import host, luks
from harness.programs import Exit, check_error, check_json_error

MiB = 1 << 20
PASSPHRASE = "a passphrase that was typed, with spaces and ümlauts".encode()

IMAGES = {
    "luks1 by qemu-img, 256-bit key": (luks.qemu_luks1, {"key_bits": 256}),
    "luks1 by qemu-img, 512-bit key": (luks.qemu_luks1, {"key_bits": 512}),
    "luks1 by cryptsetup": (luks.format_luks1, {}),
    "luks2 by reencrypt, 512, 256": (luks.reencrypt_in_place, {"sector_size": 512, "key_bits": 256}),
    "luks2 by reencrypt, 512, 512": (luks.reencrypt_in_place, {"sector_size": 512, "key_bits": 512}),
    "luks2 by reencrypt, 4096, 256": (luks.reencrypt_in_place, {"sector_size": 4096, "key_bits": 256}),
    "luks2 by reencrypt, 4096, 512": (luks.reencrypt_in_place, {"sector_size": 4096, "key_bits": 512}),
    "luks2 by luksFormat, 512, 256": (luks.format_luks2, {"sector_size": 512, "key_bits": 256}),
    "luks2 by luksFormat, 1024": (luks.format_luks2, {"sector_size": 1024}),
    "luks2 by luksFormat, 2048": (luks.format_luks2, {"sector_size": 2048}),
    "luks2 by luksFormat, 4096, 256": (luks.format_luks2, {"sector_size": 4096, "key_bits": 256}),
    "luks2 by luksFormat, Argon2id": (luks.format_luks2, {"pbkdf": ["--pbkdf", "argon2id", "--iter-time", "100"]}),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Makes each kind of image once."""
    images = {}

    def make(kind):
        if kind not in images:
            plaintext = os.urandom(2 * MiB)
            path = tmp_path_factory.mktemp("image") / "image"
            function, options = IMAGES[kind]
            function(path, PASSPHRASE, plaintext, **options)
            images[kind] = (path.read_bytes(), plaintext)
        return images[kind]

    return make


def foreign_image(site, content):
    path = site.path("foreign")
    path.write_bytes(content)
    path.chmod(0o600)
    return site.own(path)


@pytest.mark.parametrize("kind", IMAGES)
def test_import_attach_read_write(site, made, kind):
    content, plaintext = made(kind)
    image = foreign_image(site, content)
    passphrase_file = site.path("passphrase")
    passphrase_file.write_bytes(PASSPHRASE)
    value = os.urandom(32)
    document = site.json("volume", "import", image, "--name", site.new_name("imported"),
                         "--passphrase-file", site.own(passphrase_file), "--key-id", site.import_key(value))
    assert document["size"] == len(plaintext) and document["image"] == str(image)
    assert document["luks_version"] == (1 if kind.startswith("luks1") else 2)
    assert document["in_pool"] is False and document["state"] == "available"

    expected = bytearray(plaintext)
    with site.attached(document["name"]) as volume:
        assert site.call(host.read_at, volume) == plaintext
        for offset, length in [(0, 512), (5000, 3), (MiB - 7, 70_001)]:
            data = os.urandom(length)
            site.call(host.write_at, volume, offset, data)
            expected[offset:offset + length] = data
    # The user's own passphrase and the managed keyslot both open it, and both see what was written.
    managed = value.hex().encode()
    assert luks.opens(image, PASSPHRASE) and luks.opens(image, managed)
    assert luks.decrypted(image, PASSPHRASE) == bytes(expected)
    assert luks.decrypted(image, managed) == bytes(expected)
    if document["luks_version"] == 2:
        (token,) = [token for token in luks.tokens(image) if token["type"] == "coffer"]
        assert (token["key_id"], token["volume_id"]) == (document["key_id"], document["id"])
        with site.attached(image) as volume:
            assert site.call(host.read_at, volume) == bytes(expected)


def test_passphrase_from_stdin(site, made):
    content, plaintext = made("luks2 by luksFormat, 512, 256")
    image = foreign_image(site, content)
    name = site.new_name("imported")
    site.coffer("volume", "import", image, "--name", name, input=PASSPHRASE + b"\n").ok()
    with site.attached(name) as volume:
        assert site.call(host.read_at, volume) == plaintext


def test_without_a_name_it_is_called_as_its_file(site, made):
    content, _ = made("luks2 by luksFormat, 512, 256")
    path = site.work / "archive.luks"
    path.write_bytes(content)
    document = site.json("volume", "import", site.own(path), input=PASSPHRASE)
    assert document["name"].startswith("archive")
    site.coffer("volume", "delete", document["id"]).ok()


@pytest.mark.parametrize("kind", ["luks1 by cryptsetup", "luks2 by luksFormat, 512, 256"])
def test_wrong_passphrase_changes_nothing(site, made, kind):
    image = foreign_image(site, made(kind)[0])
    before = site.snapshot(image)
    check_error(site.coffer("volume", "import", image, input=b"wrong"), Exit.WRONG_KEY, image)
    check_json_error(site.coffer("volume", "import", image, "--json", input=b"wrong"), Exit.WRONG_KEY)
    assert site.snapshot(image) == before


def test_import_twice(site, made):
    image = foreign_image(site, made("luks2 by luksFormat, 512, 256")[0])
    name = site.new_name("imported")
    site.coffer("volume", "import", image, "--name", name, input=PASSPHRASE).ok()
    before = site.snapshot(image)
    again = site.coffer("volume", "import", image, "--name", site.new_name(), input=PASSPHRASE)
    check_error(again, Exit.CONFLICT, image)
    assert site.snapshot(image) == before


def test_name_that_is_taken(site, made):
    image = foreign_image(site, made("luks2 by luksFormat, 512, 256")[0])
    name = site.volume("1M")["name"]
    before = site.snapshot(image)
    check_error(site.coffer("volume", "import", image, "--name", name, input=PASSPHRASE), Exit.CONFLICT, name)
    assert site.snapshot(image) == before


def test_what_is_no_luks_image(site):
    path = site.path("letter")
    path.write_bytes(b"Dear all, " * 100_000)
    before = site.snapshot(site.own(path))
    check_error(site.coffer("volume", "import", path, input=b"x"), Exit.BAD_IMAGE, path)
    assert site.snapshot(path) == before


def test_missing_image(site):
    before = site.snapshot()
    check_error(site.coffer("volume", "import", site.work / "missing", input=b"x"), Exit.NOT_FOUND, "missing")
    assert site.snapshot() == before


@pytest.mark.parametrize("cipher", ["aes-cbc-essiv:sha256", "aes-xts-plain"])
def test_other_ciphers_are_not_served(site, cipher):
    path = site.path("other-cipher")
    with open(path, "wb") as file:
        file.truncate(20 * MiB)
    luks.cryptsetup("luksFormat", "--type", "luks2", "--cipher", cipher, "--key-size", "256", *luks.FAST, path,
                    passphrase=PASSPHRASE)
    before = site.snapshot(site.own(path))
    result = site.coffer("volume", "import", path, input=PASSPHRASE)
    check_error(result, Exit.BAD_IMAGE, path, cipher)
    assert site.snapshot(path) == before


def test_image_in_the_middle_of_a_reencryption(site):
    """Which key its data are under cannot be told: it is not served."""
    path = site.path("half-way")
    path.write_bytes(bytes(40 * MiB))
    luks.cryptsetup("reencrypt", "--encrypt", "--init-only", "--type", "luks2", "--reduce-device-size", "32M",
                    *luks.FAST, path, passphrase=PASSPHRASE)
    before = site.snapshot(site.own(path))
    check_error(site.coffer("volume", "import", path, input=PASSPHRASE), Exit.BAD_IMAGE, path)
    assert site.snapshot(path) == before


def test_the_system_daemon_imports_with_the_users_rights_alone(guest_site, made):
    """An image that only root may read stays closed to others, whoever asks through root's daemon."""
    image = guest_site.path("roots")
    image.write_bytes(made("luks2 by luksFormat, 512, 256")[0])
    image.chmod(0o600)
    before = guest_site.snapshot(image)
    check_error(guest_site.coffer("volume", "import", image, input=PASSPHRASE), Exit.NOT_PERMITTED, image)
    assert guest_site.snapshot(image) == before
    guest_site.own(image)
    guest_site.coffer("volume", "import", image, "--name", "mine now", input=PASSPHRASE).ok()
    with guest_site.attached("mine now") as volume:
        guest_site.call(host.read_at, volume, 0, 1)


def test_deleting_an_imported_volume_keeps_the_users_passphrase(site, made):
    """The data stay the user's: only Coffer's own slot and token go, or the command says that the data go."""
    content, plaintext = made("luks2 by luksFormat, 512, 256")
    image = foreign_image(site, content)
    value = os.urandom(32)
    document = site.json("volume", "import", image, "--name", site.new_name("imported"),
                         "--key-id", site.import_key(value), input=PASSPHRASE)
    site.coffer("volume", "delete", document["id"]).ok()
    assert not image.exists() or not luks.opens(image, value.hex().encode())
