"""Keys: created, imported in each form, listed, shown, deleted; the value is never printed."""

import base64
import os

import pytest

from harness import host, luks
from harness.programs import Exit, check_error, check_json_error, is_uuid

UNKNOWN = "6a8c1a3e-2b07-4b7e-9a52-0a1f1f2e3d4c"


def value_opens(site, key, value):
    """Whether a volume whose key is a clone of this one opens with the value's hex."""
    document = site.volume("1M", "--key-id", key)
    return luks.opens(document["image"], value.hex().encode())


def test_created_key_is_listed_shown_and_deleted(any_site):
    made = any_site.json("key", "create", "--name", "backup", "--bits", "128")
    assert is_uuid(made["id"]) and made["name"] == "backup" and made["bit_length"] == 128
    assert made in any_site.json("key", "list")
    assert any_site.json("key", "show", made["id"]) == made
    any_site.coffer("key", "delete", made["id"]).ok()
    assert made["id"] not in [key["id"] for key in any_site.json("key", "list")]
    check_error(any_site.coffer("key", "show", made["id"]), Exit.NOT_FOUND, made["id"])


def test_default_length_is_256_bits(site):
    assert site.json("key", "create")["bit_length"] == 256


def test_text_output_names_the_key(site):
    out = site.coffer("key", "create", "--name", "plain").ok().out
    key = next(key for key in site.json("key", "list") if key.get("name") == "plain")
    assert key["id"] in out
    assert key["id"] in site.coffer("key", "list").ok().out
    shown = site.coffer("key", "show", key["id"]).ok().out
    assert "plain" in shown and "256" in shown


@pytest.mark.parametrize("source", ["stdin", "file"])
@pytest.mark.parametrize("form", ["raw", "hex", "base64"])
def test_import(site, form, source):
    # Raw bytes of every kind: a newline at the end belongs to a raw key, and to no other.
    value = os.urandom(30) + b"\0\n"
    text = {"raw": value, "hex": value.hex().encode() + b"\n", "base64": base64.b64encode(value) + b"\n"}[form]
    if source == "stdin":
        key = site.json("key", "import", "--format", form, input=text)
    else:
        path = site.path("key")
        path.write_bytes(text)
        key = site.json("key", "import", "--format", form, "--file", site.own(path))
    assert key["bit_length"] == 256
    assert value_opens(site, key["id"], value)


def test_import_of_upper_case_hex(site):
    value = os.urandom(32)
    key = site.json("key", "import", "--format", "hex", input=value.hex().upper())
    assert value_opens(site, key["id"], value)


@pytest.mark.parametrize("form, text", [
    ("hex", "abc"), ("hex", "zz" * 16), ("hex", ""), ("base64", "!!!"), ("base64", ""), ("raw", ""),
    ("raw", "x" * 20001)])
def test_bad_import_is_refused(site, form, text):
    before = site.snapshot()
    check_error(site.coffer("key", "import", "--format", form, input=text), Exit.USAGE)
    assert site.snapshot() == before


def test_refused_import_does_not_repeat_the_value(site):
    text = "0123456789abcdef" * 3 + "q"
    result = site.coffer("key", "import", "--format", "hex", input=text)
    assert text[:16] not in result.err + result.out


def test_import_from_a_missing_file(site):
    result = site.coffer("key", "import", "--file", site.work / "missing")
    check_error(result, Exit.NOT_FOUND, "missing")


def test_value_is_not_taken_from_an_argument(site):
    assert site.coffer("key", "import", "--format", "hex", "ab" * 32).code == Exit.USAGE


@pytest.mark.parametrize("bits", ["0", "-8", "7", "many"])
def test_bad_lengths_are_refused(site, bits):
    before = site.snapshot()
    assert site.coffer("key", "create", f"--bits={bits}").code == Exit.USAGE
    assert site.snapshot() == before


@pytest.mark.parametrize("command", ["show", "delete"])
def test_unknown_key(site, command):
    before = site.snapshot()
    check_error(site.coffer("key", command, UNKNOWN), Exit.NOT_FOUND, UNKNOWN)
    check_json_error(site.coffer("key", "show", UNKNOWN, "--json"), Exit.NOT_FOUND)
    assert site.snapshot() == before


def test_list_shows_more_keys_than_a_page(root_site):
    names = {f"many-{number}" for number in range(25)}
    for name in names:
        root_site.coffer("key", "create", "--name", name).ok()
    assert names <= {key.get("name") for key in root_site.json("key", "list")}


def test_another_users_key_does_not_exist(make_site, guest_site):
    """One daemon, two users: the answer for a foreign key is that for an unknown one."""
    owner = make_site(host.ROOT)
    other = guest_site.at(owner.daemon)
    foreign = owner.json("key", "create", "--name", "mine")["id"]
    for command in ["show", "delete"]:
        told = other.coffer("key", command, foreign)
        unknown = other.coffer("key", command, UNKNOWN)
        check_error(told, Exit.NOT_FOUND, foreign)
        assert told.err.replace(foreign, "ID") == unknown.err.replace(UNKNOWN, "ID")
    assert other.json("key", "list") == []
    assert owner.json("key", "show", foreign)["name"] == "mine"
