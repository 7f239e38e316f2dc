"""Fixtures: the programs, the personas, and a private daemon for each module."""

import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import host  # noqa: E402
from harness.programs import Daemon, Site, install_programs  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[2]


def pytest_configure(config):
    config.addinivalue_line("markers", "deadline(seconds): after which the programs are killed (120)")
    if os.geteuid() != 0:
        pytest.exit("the end-to-end tests make users, mounts and loop devices: run them as root", returncode=4)


@pytest.fixture(scope="session")
def base():
    """The directory below which everything happens."""
    path = Path(tempfile.mkdtemp(prefix="coffer-e2e-", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    host.unmount_all(path)
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def programs(base):
    """The directory of the programs under test, from COFFER_BIN or the release build."""
    source = Path(os.environ.get("COFFER_BIN", REPOSITORY / ".build-release" / "release"))
    directory = install_programs(source, base / "bin")
    yield directory
    host.kill_programs(directory)


@pytest.fixture(scope="session")
def user():
    persona, made = host.ordinary_user()
    yield persona
    if made:
        host.remove_ordinary_user()


@pytest.fixture(autouse=True)
def deadline(request, programs):
    """Kills the programs when a test hangs: the kernel then fails what waits for their mounts."""
    marker = request.node.get_closest_marker("deadline")
    timer = threading.Timer(marker.args[0] if marker else 120, host.kill_programs, [programs])
    timer.daemon = True
    timer.start()
    yield
    timer.cancel()


def _environment(persona, home, **more):
    """No more than a login gives; nothing of the account that runs the tests."""
    runtime = home / "runtime"
    runtime.mkdir(mode=0o700)
    os.chown(runtime, persona.uid, persona.gid)
    return {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", "HOME": str(home),
            "LANG": "C.UTF-8", "XDG_RUNTIME_DIR": str(runtime), **more}


@pytest.fixture(scope="module")
def make_site(base, programs):
    """Makes sites; afterwards ends and unmounts all that belongs to them."""
    sites = []

    def make(persona, owner=None, start=True):
        """A site of the persona at a daemon of its own, or of the owner's."""
        owner = owner or persona
        top = Path(tempfile.mkdtemp(prefix=f"{persona.name}-", dir=base))
        top.chmod(0o755)
        home, service, work = top / "home", top / "service", top / "work"
        for path, who in [(home, persona), (service, owner), (work, persona)]:
            path.mkdir(mode=0o755)
            os.chown(path, who.uid, who.gid)
        environment = _environment(persona, home)
        daemon = Daemon(programs, owner, service, environment)
        site = Site(programs, persona, daemon, work, {**environment, "COFFER_SOCKET": str(daemon.socket)})
        sites.append(site)
        if start:
            daemon.start()
        return site

    yield make
    for site in sites:
        host.unmount_all(site.work)
        if site.daemon.process is not None:
            site.daemon.stop()
    host.kill_programs(programs)


@pytest.fixture(scope="module")
def root_site(make_site):
    """Root with a daemon of root's."""
    return make_site(host.ROOT)


@pytest.fixture(scope="module")
def user_site(make_site, user):
    """An ordinary user with a daemon of its own."""
    return make_site(user)


@pytest.fixture(scope="module")
def guest_site(make_site, user):
    """An ordinary user at root's daemon, as on a machine where the system runs one for all."""
    return make_site(user, owner=host.ROOT)


@pytest.fixture(scope="module", params=["root", "user"])
def site(request):
    return request.getfixturevalue(f"{request.param}_site")


@pytest.fixture(scope="module", params=["root", "user", "guest"])
def any_site(request):
    return request.getfixturevalue(f"{request.param}_site")


@pytest.fixture(autouse=True)
def leaves_nothing(request, base, programs):
    """Every test ends with no mount, loop device or serving process of its own."""
    loops_before = host.volume_loops(base)
    yield
    failed = getattr(request.node, "failed", False)

    def servers_left():
        return [pid for pid, name in host.programs_running(programs).items() if name != "cofferd"]

    # A server that had nothing to serve says so first and ends then.
    host.eventually(lambda: not servers_left(), 0 if failed else 5)
    mounts, servers, loops = host.mounts(base), servers_left(), host.volume_loops(base) - loops_before
    for pid in servers:
        os.kill(pid, 9)
    host.unmount_all(base)
    if not failed:
        assert not mounts and not servers and not loops, f"left behind: {mounts} {servers} {loops}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call":
        item.failed = report.failed


@pytest.fixture(scope="session")
def mount_type(programs):
    """Puts mount.coffer and umount.coffer where mount(8) looks, over any that are installed."""
    undo = []
    for name in ["mount.coffer", "umount.coffer"]:
        place = Path("/sbin") / name
        if place.exists() or place.is_symlink():
            target = place.resolve()
            host.bind(programs / name, target)
            undo.append(lambda target=target: host.unbind(target))
        else:
            place.symlink_to(programs / name)
            undo.append(place.unlink)
    yield
    for step in reversed(undo):
        step()
