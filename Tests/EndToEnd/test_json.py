"""The shapes of what --json prints: exactly the documented members, of the documented types."""

import json
import re

import pytest

from harness.programs import Exit, check_json_error, is_uuid

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?$")

KEY = {"id": is_uuid, "name": str, "algorithm": str, "bit_length": int, "created_at": TIME.match}
VOLUME = {"id": is_uuid, "name": str, "key_id": is_uuid, "size": int, "sector_size": int, "state": str, "image": str,
          "in_pool": bool, "luks_version": int, "project_id": str, "created_at": TIME.match}
SERVED = {"mountpoint": str, "pid": int}
ATTACHMENT = {"id": is_uuid, "volume_id": is_uuid, "key_id": is_uuid, "image": str, "mountpoint": str, "pid": int,
              "uid": int, "read_only": bool, "created_at": TIME.match}
SHOWN = {**ATTACHMENT, "volume": str, "size": int, "sector_size": int, "cipher_kernel": str, "transport": str,
         "notices": list}


def check(document, shape, optional=()):
    assert isinstance(document, dict)
    for name in document:
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name), f"{name} is not snake_case"
    for name, kind in shape.items():
        assert name in document, f"no {name} in {document}"
        value = document[name]
        assert type(value) is kind if isinstance(kind, type) else kind(value), f"{name}: {value!r}"
    unknown = set(document) - set(shape) - set(optional)
    assert not unknown, f"undocumented: {unknown}"


@pytest.fixture(scope="module")
def key(site):
    return site.json("key", "create", "--name", "documented")


MORE_OF_A_KEY = {"type", "mode", "updated_at", "expires_at"}


def test_keys(site, key):
    check(key, KEY, MORE_OF_A_KEY)
    check(site.json("key", "show", key["id"]), KEY, MORE_OF_A_KEY)
    listed = site.json("key", "list")
    assert isinstance(listed, list) and key in listed
    imported = site.json("key", "import", "--format", "hex", input="ab" * 32)
    assert is_uuid(imported["id"])


def test_volumes(site, key):
    made = site.volume("1M", "--key-id", key["id"])
    check(made, VOLUME)
    assert made["size"] == 1 << 20
    check(site.json("volume", "show", made["id"]), VOLUME)
    assert made in site.json("volume", "list")
    directory = site.directory()
    with site.attached(made["name"], directory=directory):
        check(site.json("volume", "show", made["id"]), {**VOLUME, **SERVED})


def test_attachments(site):
    made = site.volume("1M")
    directory = site.directory()
    attached = site.json("attach", made["name"], directory)
    check(attached, SHOWN)
    assert site.json("attachment", "show", directory) == attached
    (listed,) = site.json("attachment", "list")
    check(listed, ATTACHMENT)
    assert listed == {name: attached[name] for name in listed}
    site.coffer("detach", directory).ok()


def test_lists_without_entries(make_site, user):
    site = make_site(user)
    for kind in ["key", "volume", "attachment"]:
        assert site.json(kind, "list") == []
        assert site.coffer(kind, "list").ok().err == ""


def test_one_document_and_a_newline(site, key):
    out = site.coffer("key", "show", key["id"], "--json").ok().out
    assert out.endswith("\n") and json.loads(out) == key


def test_errors(site):
    directory = site.directory()
    error = check_json_error(site.coffer("attach", "nosuchvolume", directory, "--json"), Exit.NOT_FOUND)
    assert error["code"] == "no-such-volume" and "nosuchvolume" in error["message"]
    error = check_json_error(site.coffer("attach", "/nosuchimage", directory, "--json"), Exit.NOT_FOUND)
    assert error["code"] == "no-such-image"


def test_usage_errors(site):
    """What the argument parser refuses is JSON too when --json was among the arguments."""
    check_json_error(site.coffer("volume", "create", "x", "--size", "much", "--json"), Exit.USAGE)
    check_json_error(site.coffer("key", "show", "--json"), Exit.USAGE)


def test_names_that_need_escapes(site):
    name = 'a "quoted" \\ name / with ümlaut'
    key = site.json("key", "create", "--name", name)
    assert key["name"] == name
