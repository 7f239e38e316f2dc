"""Key bytes are in no argument list, no environment, no log, no file but the wrapped one, and no core dump."""

import base64
import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness import host, luks
from harness.programs import Exit

MiB = 1 << 20


class Secrets:
    """Values and the forms in which they might turn up."""

    def __init__(self, **values):
        self.forms = {}
        for name, value in values.items():
            self.forms[f"{name}, raw"] = value
            self.forms[f"{name}, hex"] = value.hex().encode()
            self.forms[f"{name}, upper-case hex"] = value.hex().upper().encode()
            self.forms[f"{name}, base64"] = base64.b64encode(value).rstrip(b"=")
            # A key schedule begins or ends with the key, or holds it in blocks.
            for start in range(0, len(value), 16):
                self.forms[f"{name}, bytes {start} to {start + 16}"] = value[start:start + 16]
        self.pattern = re.compile(b"|".join(re.escape(form) for form in self.forms.values()), re.DOTALL)

    def found_in(self, data):
        """The names of the forms that the data hold."""
        if not self.pattern.search(data):
            return []
        return [name for name, form in self.forms.items() if form in data]


@pytest.fixture(scope="module")
def secrets(site):
    """(volume, the secrets of it): an imported key, and the volume key as stock cryptsetup tells it."""
    value = os.urandom(32)
    document = site.volume("1M", "--key-id", site.import_key(value))
    area = luks.data_area(document["image"], value.hex().encode())
    return document, Secrets(key=value, volume_key=area.volume_key)


class ProcWatch:
    """Looks at every process's arguments and environment again and again while a block runs."""

    def __init__(self, secrets):
        self.secrets, self.hits, self.seen, self.over = secrets, [], set(), False

    def __enter__(self):
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.over:
            self.look()

    def look(self):
        for pid in host.processes():
            for name in ["cmdline", "environ"]:
                with contextlib.suppress(OSError):
                    data = Path(f"/proc/{pid}/{name}").read_bytes()
                    self.seen.add(os.path.basename(data.split(b"\0")[0]) if name == "cmdline" else b"")
                    if hits := self.secrets.found_in(data):
                        self.hits.append((pid, name, hits))

    def __exit__(self, *_):
        self.over = True
        self.thread.join()


def test_arguments_and_environments(any_site):
    value = os.urandom(32)
    with ProcWatch(Secrets(key=value)) as watch:
        key = any_site.import_key(value)
        document = any_site.volume("1M", "--key-id", key)
        directory = any_site.directory()
        with any_site.attached(document["name"], directory=directory):
            any_site.coffer("key", "show", key).ok()
            watch.look()
        any_site.coffer("volume", "delete", document["name"]).ok()
    assert watch.hits == []
    assert {b"cofferd", b"coffer"} <= watch.seen, "the watch saw too little to prove anything"


def test_the_watch_finds_what_is_there():
    value = os.urandom(32)
    with ProcWatch(Secrets(key=value)) as watch:
        subprocess.run(["sleep", "0.5"], env={"KEY": value.hex()}, check=True)
        subprocess.run(["sh", "-c", "sleep 0.5; true", value.hex()], check=True)
    assert {name for _, name, _ in watch.hits} == {"cmdline", "environ"}


def test_logs_and_state(site, secrets):
    """The key is in the key manager's files under the master key, and nowhere else in the open."""
    document, values = secrets
    with site.attached(document["name"]):
        pass
    site.coffer("attach", document["name"], site.directory(), "--key-id", site.json("key", "create")["id"])
    files = [site.daemon.log, *(path for path in site.daemon.state.rglob("*") if path.is_file())]
    assert len(files) > 2
    for path in files:
        assert values.found_in(path.read_bytes()) == [], path


def test_master_key_file_is_private(any_site):
    """0600, and so are the database and the directory above them."""
    any_site.json("key", "create")
    private = [path for path in any_site.daemon.state.rglob("*") if path.is_file() and path.suffix != ".img"]
    assert private
    for path in private:
        assert path.stat().st_mode & 0o077 == 0, path
        assert path.stat().st_uid == any_site.daemon.persona.uid


def dump(pid, directory):
    """A core of a running process, taken by root."""
    result = subprocess.run(["gcore", "-o", directory / "core", str(pid)], capture_output=True, text=True,
                            timeout=100, cwd=directory)
    core = directory / f"core.{pid}"
    assert core.exists(), result.stdout + result.stderr
    data = core.read_bytes()
    core.unlink()
    return data


def test_a_core_shows_what_a_process_holds(tmp_path):
    """The control: of a careless process the core has the key."""
    value = os.urandom(32)
    code = "import sys, time; key = bytes.fromhex(sys.stdin.readline()); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(value.hex().encode() + b"\n")
        process.stdin.flush()
        process.stdout.readline()
        found = Secrets(key=value).found_in(dump(process.pid, tmp_path))
        process.kill()
    assert "key, raw" in found


def read_some(path):
    for _ in range(3):
        host.read_at(path, 0, MiB)
    host.write_at(path, 4096, b"x" * 100_000)


def test_core_of_the_server(site, secrets, tmp_path):
    document, values = secrets
    directory = site.directory()
    with site.attached(document["name"], directory=directory) as volume:
        site.call(read_some, volume)
        core = dump(site.server(directory), tmp_path)
        assert len(core) > 100_000
        assert values.found_in(core) == []


def test_core_of_the_daemon(site, secrets, tmp_path):
    """After it has handed out, cloned, stored and wrapped keys."""
    document, values = secrets
    key = document["key_id"]
    with site.attached(document["name"]):
        site.coffer("key", "show", key).ok()
        site.volume("1M", "--key-id", key)
        core = dump(site.daemon.pid, tmp_path)
    assert len(core) > 100_000
    assert values.found_in(core) == []


def test_master_key_is_in_no_core(site, tmp_path):
    site.json("key", "create")
    small = [path for path in site.daemon.state.rglob("*") if path.is_file() and 16 <= path.stat().st_size <= 4096
             and b"SQLite" not in path.read_bytes()[:16]]
    values = Secrets(**{f"{path.name} at {start}": path.read_bytes()[start:start + 32]
                        for path in small for start in range(0, path.stat().st_size - 31, 32)})
    hits = [name for name in values.found_in(dump(site.daemon.pid, tmp_path)) if "bytes" not in name]
    assert hits == []


@pytest.mark.parametrize("victim", ["server", "daemon"])
def test_forced_core(make_site, user, victim):
    """SIGABRT with unlimited cores: whatever the kernel writes has no key in it."""
    site = make_site(user, start=False)
    unlimited = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)}
    cores = Path("/proc/sys/kernel/core_pattern").read_text()
    site.daemon.start(**unlimited)
    value = os.urandom(32)
    document = site.volume("1M", "--key-id", site.import_key(value))
    area = luks.data_area(document["image"], value.hex().encode())
    values = Secrets(key=value, volume_key=area.volume_key)
    directory = site.directory()
    site.run("coffer", "attach", document["name"], directory, **unlimited).ok()
    site.call(read_some, directory / "volume")
    pid = site.server(directory) if victim == "server" else site.daemon.pid
    places = {site.work, site.daemon.state, Path("/"), Path(os.readlink(f"/proc/{pid}/cwd"))}
    before = {path for place in places for path in place.glob("core*")}
    os.kill(pid, signal.SIGABRT)
    if victim == "daemon":
        site.daemon.process.wait(30)
        site.daemon.process = None
    assert host.eventually(lambda: not host.is_running(pid))
    written = {path for place in places for path in place.glob("core*")} - before
    for core in written:
        assert values.found_in(core.read_bytes()) == [], f"{core} (core_pattern {cores})"
        core.unlink()
    assert values.found_in(site.daemon.log.read_bytes()) == []
    if victim == "daemon":
        site.daemon.start()
    site.coffer("detach", directory).ok()


def test_memory_with_keys_is_not_readable_by_the_users_other_processes(user_site, secrets):
    """The server and the daemon are not dumpable: not even their own user reads their memory."""
    document = user_site.volume("1M")
    directory = user_site.directory()
    with user_site.attached(document["name"], directory=directory):
        for pid in [user_site.server(directory), user_site.daemon.pid]:
            with pytest.raises(PermissionError):
                user_site.call(read_memory, pid)


def read_memory(pid):
    with open(f"/proc/{pid}/mem", "rb") as memory:
        memory.read(1)


def test_value_is_never_printed(site, secrets):
    document, values = secrets
    for command in [["key", "list"], ["key", "show", document["key_id"]], ["volume", "show", document["id"]]]:
        for options in [[], ["--json"]]:
            result = site.coffer(*command, *options).ok()
            assert values.found_in((result.out + result.err).encode()) == []


def test_failed_attach_tells_no_key(site, secrets):
    document, values = secrets
    wrong = os.urandom(32)
    key = site.import_key(wrong)
    result = site.coffer("attach", document["name"], site.directory(), "--key-id", key)
    assert result.code == Exit.WRONG_KEY
    for known in [values, Secrets(wrong=wrong)]:
        assert known.found_in(result.err.encode()) == []
