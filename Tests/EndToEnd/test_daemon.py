"""The daemon's life: started by coffer for one user, stopped when idle, restarted and killed while volumes are used."""

import os
import signal
import socket
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

from harness import host, luks
from harness.programs import Exit, check_error, run

MiB = 1 << 20

@pytest.fixture
def lone_site(make_site, user):
    """A user without a daemon, and without anything that says where one is."""
    site = make_site(user, start=False)
    del site.environment["COFFER_SOCKET"]
    yield site
    for pid, name in host.programs_running(site.programs).items():
        if name == "cofferd":
            os.kill(pid, signal.SIGTERM)
    assert host.eventually(lambda: "cofferd" not in host.programs_running(site.programs).values())


def daemons(site):
    return [pid for pid, name in host.programs_running(site.programs).items() if name == "cofferd"]


def test_coffer_starts_a_daemon_for_its_user(lone_site):
    assert daemons(lone_site) == []
    key = lone_site.json("key", "create", "--name", "first")
    (daemon,) = daemons(lone_site)
    assert os.stat(f"/proc/{daemon}").st_uid in (lone_site.persona.uid, 0)
    path = Path(lone_site.environment["XDG_RUNTIME_DIR"]) / "coffer" / "cofferd.sock"
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert path.parent.stat().st_mode & 0o077 == 0
    # The next command uses the same daemon.
    assert lone_site.json("key", "list") == [key]
    assert daemons(lone_site) == [daemon]


def test_commands_at_once_start_one_daemon(lone_site):
    results = []
    threads = [threading.Thread(target=lambda: results.append(lone_site.coffer("key", "create"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.code for result in results] == [0] * 6, [str(result) for result in results]
    assert len(lone_site.json("key", "list")) == 6
    assert len(daemons(lone_site)) == 1


def start_own(site, seconds):
    """The user's own daemon, as coffer starts it but less patient: coffer's waits for minutes."""
    site.json("key", "list")
    (daemon,) = daemons(site)
    words = Path(f"/proc/{daemon}/cmdline").read_text().split("\0")[1:-1]
    os.kill(daemon, signal.SIGTERM)
    assert host.eventually(lambda: not daemons(site))
    words[words.index("--idle-exit") + 1] = str(seconds)
    at = words.index("--ready-fd")
    del words[at:at + 2]
    process = subprocess.Popen([site.programs / "cofferd", *words], env=site.environment, cwd="/",
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               **site.persona.credentials)
    path = words[words.index("--socket") + 1]
    assert host.eventually(lambda: os.path.exists(path))
    return process


def test_idle_daemon_stops_and_its_state_stays(lone_site):
    daemon = start_own(lone_site, 2)
    key = lone_site.json("key", "create")
    assert daemon.wait(60) == 0
    # The next command starts another.
    assert lone_site.json("key", "list") == [key]


def test_daemon_stays_while_something_is_attached(lone_site):
    daemon = start_own(lone_site, 2)
    name = lone_site.json("volume", "create", "kept", "--size", "1M")["name"]
    directory = lone_site.directory()
    with lone_site.attached(name, directory=directory):
        time.sleep(6)
        assert daemon.poll() is None
        assert [entry["mountpoint"] for entry in lone_site.json("attachment", "list")] == [str(directory)]
    assert daemon.wait(60) == 0


def test_attach_starts_a_daemon(lone_site):
    document = lone_site.json("volume", "create", "v", "--size", "1M")
    for pid in daemons(lone_site):
        os.kill(pid, signal.SIGTERM)
    assert host.eventually(lambda: not daemons(lone_site))
    directory = lone_site.directory()
    lone_site.run("mount.coffer", document["name"], directory).ok()
    lone_site.coffer("detach", directory).ok()


def test_daemon_is_not_started_where_a_socket_was_named(lone_site):
    path = lone_site.work / "named.sock"
    check_error(lone_site.coffer("key", "list", "--socket", path), Exit.UNAVAILABLE, path)
    assert daemons(lone_site) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_restart_while_attached(site, number):
    """Reading and writing go on without the daemon; the next one knows of the attachment."""
    document = site.volume("1M")
    directory = site.directory()
    with site.attached(document["name"], directory=directory) as volume:
        before = site.json("attachment", "show", directory)
        site.daemon.stop(number)
        site.call(host.write_at, volume, 0, b"without a daemon")
        assert site.call(host.read_at, volume, 0, 16) == b"without a daemon"
        site.daemon.start()
        listed = host.eventually(lambda: site.json("attachment", "list"))
        assert [(entry["mountpoint"], entry["pid"]) for entry in listed] == [(str(directory), before["pid"])]
        assert site.json("attachment", "show", directory)["volume_id"] == document["id"]
        assert site.json("volume", "show", document["name"])["state"] == "in-use"
        check_error(site.coffer("attach", document["name"], site.directory()), Exit.CONFLICT)
    assert site.json("volume", "show", document["name"])["state"] == "available"


def test_detach_without_a_daemon(site):
    """Nobody has to be asked for it."""
    document = site.volume("1M")
    directory = site.directory()
    site.coffer("attach", document["name"], directory).ok()
    pid = site.server(directory)
    site.daemon.stop()
    try:
        site.coffer("detach", directory).ok()
        assert not host.is_running(pid) and not host.mounts(directory)
    finally:
        site.daemon.start()
    assert site.json("attachment", "list") == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_daemon_ends_by_a_signal(make_site, user, number):
    site = make_site(user)
    site.json("key", "create")
    assert site.daemon.stop(number) == 0
    assert not site.daemon.socket.exists()
    site.daemon.start()
    assert len(site.json("key", "list")) == 1


def test_second_daemon_on_the_same_state_is_refused(site):
    result = run([site.programs / "cofferd", "--state", site.daemon.state, "--socket", site.work / "second.sock"],
                 site.daemon.persona, site.environment)
    assert result.code != 0 and str(site.daemon.state) in result.err, str(result)
    result = run([site.programs / "cofferd", "--state", site.path("state"), "--socket", site.daemon.socket],
                 site.daemon.persona, site.environment)
    assert result.code != 0 and str(site.daemon.socket) in result.err, str(result)
    site.json("key", "list")


def test_socket_that_a_killed_daemon_left_is_taken_over(site):
    site.daemon.stop(signal.SIGKILL)
    assert site.daemon.socket.exists()
    site.daemon.start()
    site.json("key", "list")


def test_an_idle_connection_does_not_keep_it_from_ending(make_site, user):
    site = make_site(user)
    with socket.socket(socket.AF_UNIX) as idle:
        idle.connect(str(site.daemon.socket))
        assert site.daemon.stop() == 0


def test_killed_while_creating_leaves_no_orphan(make_site, user):
    """At any instant: after the next start each volume opens, and no key or image is without its volume."""
    site = make_site(user)
    value = os.urandom(32)
    key = site.import_key(value)
    for round in range(8):
        creators = [threading.Thread(target=site.coffer, args=("volume", "create", f"v-{round}-{number}", "--size", "1M",
                                                               "--key-id", key)) for number in range(3)]
        for creator in creators:
            creator.start()
        time.sleep(0.02 + 0.04 * round)
        site.daemon.stop(signal.SIGKILL)
        for creator in creators:
            creator.join()
        site.daemon.start()
        assert host.eventually(lambda: settled(site))
        volumes = site.json("volume", "list")
        keys = {entry["id"] for entry in site.json("key", "list")}
        assert keys == {key} | {volume["key_id"] for volume in volumes}
        images = {str(path) for path in site.daemon.state.rglob("*.img")}
        assert images == {volume["image"] for volume in volumes}
        for volume in volumes:
            assert luks.opens(volume["image"], value.hex().encode())
    assert volumes, "no volume was made in any round"


def settled(site):
    """Whether no volume is on its way any more."""
    return all(volume["state"] == "available" for volume in site.json("volume", "list"))
