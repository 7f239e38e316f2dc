"""Each way in which an attachment cannot be: one clear text, the documented exit code, nothing changed."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from harness import host, luks
from harness.programs import Exit, Site, check_error, check_json_error, run

UNKNOWN = "6a8c1a3e-2b07-4b7e-9a52-0a1f1f2e3d4c"


@pytest.fixture(scope="module")
def volume(site):
    """One volume that all these failures leave alone."""
    return site.volume("1M")


@contextlib.contextmanager
def nothing_changes(site, *images):
    before = site.snapshot(*images)
    yield
    assert site.snapshot(*images) == before


def check_both(site, code, mentions, *arguments, **more):
    """The failure as text and as JSON."""
    check_error(site.coffer(*arguments, **more), code, *mentions)
    return check_json_error(site.coffer(*arguments, "--json", **more), code)


@pytest.mark.parametrize("name", ["nosuchvolume", UNKNOWN, "./missing.img", "/missing/image"])
def test_no_such_volume(site, name):
    directory = site.directory()
    with nothing_changes(site):
        check_both(site, Exit.NOT_FOUND, [name.removeprefix(".")], "attach", name, directory)


def test_no_such_volume_elsewhere(site):
    with nothing_changes(site):
        check_both(site, Exit.NOT_FOUND, ["nosuchvolume"], "volume", "show", "nosuchvolume")
        check_error(site.coffer("volume", "delete", "nosuchvolume"), Exit.NOT_FOUND, "nosuchvolume")


def test_key_missing_by_override(site, volume):
    with nothing_changes(site, volume["image"]):
        check_both(site, Exit.NOT_FOUND, [UNKNOWN], "attach", volume["name"], site.directory(), "--key-id", UNKNOWN)


def test_key_missing_in_this_key_manager(site, volume, make_site):
    """An image that came from elsewhere names a key that is not here."""
    elsewhere = make_site(site.persona)
    other = elsewhere.volume("1M")
    image = site.own(shutil.copy(other["image"], site.path("stranger")))
    with nothing_changes(site, image):
        check_both(site, Exit.NOT_FOUND, [other["key_id"]], "attach", image, site.directory())


def test_malformed_key_id(site, volume):
    with nothing_changes(site, volume["image"]):
        result = site.coffer("attach", volume["name"], site.directory(), "--key-id", "not-an-id")
        assert result.code == Exit.USAGE and "not-an-id" in result.err, str(result)


def test_wrong_key(site, volume):
    key = site.json("key", "create")["id"]
    with nothing_changes(site, volume["image"]):
        check_both(site, Exit.WRONG_KEY, [key], "attach", volume["name"], site.directory(), "--key-id", key)


def test_luks_image_without_a_token(site):
    image = site.path("tokenless")
    luks.format_luks2(image, b"pass", bytes(1 << 20))
    site.own(image)
    with nothing_changes(site, image):
        result = site.coffer("attach", image, site.directory())
        assert result.code in (Exit.NOT_FOUND, Exit.BAD_IMAGE), str(result)
        check_error(result, result.code, image, "import")


def elsewhere(site, socket_path):
    """The same user, told of a socket where nobody serves."""
    return Site(site.programs, site.persona, site.daemon, site.work,
                {**site.environment, "COFFER_SOCKET": str(socket_path)})


@pytest.mark.parametrize("arguments", [
    ["key", "list"], ["key", "create"], ["volume", "list"], ["volume", "create", "x", "--size", "1M"],
    ["attach", "VOLUME", "DIRECTORY"]], ids=" ".join)
def test_key_manager_not_running(site, volume, arguments):
    nobody = elsewhere(site, site.work / "nobody.sock")
    names = {"VOLUME": volume["name"], "DIRECTORY": str(site.directory())}
    with nothing_changes(site, volume["image"]):
        check_both(nobody, Exit.UNAVAILABLE, ["nobody.sock"], *[names.get(word, word) for word in arguments])


def test_socket_option_is_obeyed(site, volume):
    nobody = site.work / "nobody.sock"
    check_error(site.coffer("volume", "list", "--socket", nobody), Exit.UNAVAILABLE, nobody)
    good = elsewhere(site, nobody)
    assert volume in good.json("volume", "list", "--socket", site.daemon.socket)


def test_socket_that_a_dead_daemon_left(site, volume):
    path = site.path("dead.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    os.chmod(path, 0o777)
    check_both(elsewhere(site, path), Exit.UNAVAILABLE, [path], "attach", volume["image"], site.directory())


@pytest.fixture
def mute_socket(user_site):
    """Accepts and never answers."""
    path = user_site.path("mute.sock")
    taken = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        os.chmod(path, 0o777)
        server.listen(64)

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    taken.append(server.accept()[0])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield path
        server.shutdown(socket.SHUT_RDWR)
    thread.join()
    for connection in taken:
        connection.close()


def test_key_manager_not_answering(user_site, mute_socket):
    """Waits for half a minute, and says so then."""
    mute, document = elsewhere(user_site, mute_socket), user_site.volume("1M")
    with nothing_changes(user_site, document["image"]):
        check_error(mute.coffer("attach", document["name"], user_site.directory()), Exit.UNAVAILABLE, mute_socket)


def test_key_manager_that_talks_nonsense(site, volume):
    path = site.path("nonsense.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        os.chmod(path, 0o777)
        server.listen(8)

        def answer():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(4096)
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"a\": [")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        result = elsewhere(site, path).coffer("attach", volume["name"], site.directory())
        server.shutdown(socket.SHUT_RDWR)
    thread.join()
    assert result.code in (Exit.UNAVAILABLE, Exit.UNEXPECTED), str(result)
    check_error(result, result.code, path)


def test_in_use(site, volume):
    directory = site.directory()
    with site.attached(volume["name"]):
        for name in [volume["name"], volume["image"]]:
            with nothing_changes(site, volume["image"]):
                check_both(site, Exit.CONFLICT, [volume["image"], "in use"], "attach", name, directory)


def test_in_use_by_a_process_of_another_daemon(site, make_site):
    """Two daemons know nothing of each other; the lock on the image is what keeps them apart."""
    document, passphrase = site.known_volume("1M")
    other = make_site(site.persona)
    key = other.json("key", "import", "--format", "hex", input=passphrase)["id"]
    with site.attached(document["name"]):
        before = other.snapshot(document["image"])
        result = other.coffer("attach", document["image"], other.directory(), "--key-id", key)
        check_error(result, Exit.CONFLICT, document["image"])
        assert other.snapshot(document["image"]) == before
    with other.attached(document["image"], "--key-id", key):
        check_error(site.coffer("attach", document["name"], site.directory()), Exit.CONFLICT, document["image"])


@pytest.mark.parametrize("daemons", ["one daemon", "two daemons"])
def test_of_attaches_at_once_one_wins(site, make_site, daemons):
    document, passphrase = site.known_volume("1M")
    sites = [(site, document["key_id"])]
    if daemons == "two daemons":
        other = make_site(site.persona)
        sites.append((other, other.json("key", "import", "--format", "hex", input=passphrase)["id"]))
    for _ in range(4):
        racers = [(*sites[number % len(sites)], sites[number % len(sites)][0].directory()) for number in range(4)]
        results = [None] * len(racers)

        def race(number):
            where, key, directory = racers[number]
            results[number] = where.coffer("attach", document["image"], directory, "--key-id", key)

        threads = [threading.Thread(target=race, args=[number]) for number in range(len(racers))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        codes = sorted(result.code for result in results)
        winners = [number for number, result in enumerate(results) if result.code == 0]
        for number in winners:
            where, _, directory = racers[number]
            where.call(host.write_at, directory / "volume", 0, b"winner")
            where.coffer("detach", directory).ok()
        assert codes == [Exit.OK] + [Exit.CONFLICT] * (len(racers) - 1), [str(result) for result in results]
        for number, result in enumerate(results):
            if number not in winners:
                check_error(result, Exit.CONFLICT)
                assert not host.mounts(racers[number][2])


NO_FUSE = """
set -e
mkdir -p /dev/shm
mount -t tmpfs tmpfs /dev
mknod -m 666 /dev/null c 1 3
mknod -m 666 /dev/zero c 1 5
mknod -m 666 /dev/random c 1 8
mknod -m 666 /dev/urandom c 1 9
uid=$1; shift
exec setpriv --reuid "$uid" --regid "$uid" --clear-groups "$@"
"""


@pytest.mark.parametrize("json", [False, True], ids=["text", "json"])
def test_no_fuse_device(site, volume, json):
    """In a mount namespace whose /dev lacks it."""
    with nothing_changes(site, volume["image"]):
        command = ["unshare", "--mount", "sh", "-c", NO_FUSE, "sh", str(site.persona.uid), site.programs / "coffer",
                   "attach", volume["name"], site.directory(), *(["--json"] if json else [])]
        result = run(command, env=site.environment, cwd=site.work)
        if json:
            check_json_error(result, Exit.NO_FUSE)
        else:
            check_error(result, Exit.NO_FUSE, "/dev/fuse")


def test_no_fusermount(user_site):
    """An ordinary user mounts through fusermount3; where it is not, that is said."""
    document = user_site.volume("1M")
    command = ["unshare", "--mount", "sh", "-c",
               'set -e; mount --bind /dev/null /usr/bin/fusermount3; uid=$1; shift; '
               'exec setpriv --reuid "$uid" --regid "$uid" --clear-groups "$@"',
               "sh", str(user_site.persona.uid), user_site.programs / "coffer", "attach", document["name"],
               user_site.directory()]
    with nothing_changes(user_site, document["image"]):
        check_error(run(command, env=user_site.environment, cwd=user_site.work), Exit.NO_FUSE, "fusermount3")


def test_image_that_the_user_may_not_read(user_site):
    document = user_site.volume("1M")
    image = user_site.path("roots")
    shutil.copy(document["image"], image)
    image.chmod(0o600)
    os.chown(image, 0, 0)
    with nothing_changes(user_site, image):
        check_both(user_site, Exit.NOT_PERMITTED, [image], "attach", image, user_site.directory())


def test_read_only_image(user_site):
    """Attaching for writing is refused; reading is not."""
    document = user_site.volume("1M")
    os.chmod(document["image"], 0o444)
    with nothing_changes(user_site, document["image"]):
        check_both(user_site, Exit.NOT_PERMITTED, [document["image"], "--read-only"],
                   "attach", document["name"], user_site.directory())
        with user_site.attached(document["name"], "--read-only") as volume:
            user_site.call(host.read_at, volume)


def test_image_on_a_read_only_file_system(root_site):
    place = root_site.directory("place")
    document = root_site.volume("1M", "--image", place / "image")
    subprocess.run(["mount", "--bind", place, place], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
    try:
        with nothing_changes(root_site, document["image"]):
            check_both(root_site, Exit.NOT_PERMITTED, [document["image"], "--read-only"],
                       "attach", document["name"], root_site.directory())
            with root_site.attached(document["name"], "--read-only") as volume:
                host.read_at(volume)
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("arguments", [[], ["frobnicate"], ["attach"], ["attach", "x"], ["key"], ["volume", "show"],
                                       ["attach", "a", "b", "c"], ["attach", "a", "b", "--frob"]], ids=" ".join)
def test_usage(site, arguments):
    result = site.coffer(*arguments)
    if arguments in ([], ["key"]):
        assert result.code in (Exit.OK, Exit.USAGE) and "USAGE" in (result.out + result.err).upper()
    else:
        assert result.code == Exit.USAGE and result.err and not result.out, str(result)


@pytest.mark.parametrize("program", ["coffer", "cofferd"])
def test_help_and_version(site, program):
    for option in ["--help", "--version"]:
        result = site.run(program, option)
        assert result.code == 0 and result.out, str(result)


@pytest.fixture
def slow_daemon(root_site):
    """(socket, event): a way to the daemon on which nothing passes before the event."""
    path, go = root_site.path("slow.sock"), threading.Event()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(64)
        sockets = []

        def copy(source, target):
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    near, far = server.accept()[0], socket.socket(socket.AF_UNIX)
                    sockets.extend([near, far])
                    go.wait()
                    far.connect(str(root_site.daemon.socket))
                    for pair in [(near, far), (far, near)]:
                        threading.Thread(target=copy, args=pair, daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield path, go
        go.set()
        server.shutdown(socket.SHUT_RDWR)
    thread.join()
    for connection in sockets:
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_attach_mounts_nothing_later(root_site, slow_daemon, number):
    """The key manager answers after the user has given up waiting."""
    path, go = slow_daemon
    document, directory = root_site.volume("1M"), root_site.directory()
    process = subprocess.Popen([root_site.programs / "coffer", "attach", document["name"], directory],
                               env={**root_site.environment, "COFFER_SOCKET": str(path)},
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def running():
        return [name for name in host.programs_running(root_site.programs).values() if name != "cofferd"]

    assert host.eventually(lambda: "mount.coffer" in running())
    process.send_signal(number)
    assert process.wait(30) != 0
    go.set()
    assert host.eventually(lambda: not running() or host.mounts(directory))
    assert host.mounts(directory) == [] and running() == []


def test_a_slow_key_manager_is_waited_for(root_site, slow_daemon):
    path, go = slow_daemon
    document = root_site.volume("1M")
    threading.Timer(2, go.set).start()
    directory = root_site.directory()
    root_site.coffer("attach", document["name"], directory, env={"COFFER_SOCKET": str(path)}).ok()
    root_site.coffer("detach", directory).ok()
