"""The built programs, run as a user runs them."""

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from harness import host

TIMEOUT = 100


class Exit:
    """The exit codes of coffer, as documented."""

    OK, UNEXPECTED, USAGE, NOT_FOUND, NOT_PERMITTED, CONFLICT, UNAVAILABLE, WRONG_KEY, BAD_IMAGE, \
        BAD_MOUNTPOINT, NO_FUSE, IO = range(12)


class MountExit:
    """The exit codes of mount(8)."""

    OK, USAGE, SYSTEM, INTERNAL = 0, 1, 2, 4
    FAILURE = 32


@dataclass
class Result:
    command: list
    code: int
    out: str
    err: str

    def __str__(self):
        return f"{' '.join(self.command)}\nexit code {self.code}\nstdout: {self.out}\nstderr: {self.err}"

    def json(self):
        return json.loads(self.out)

    def ok(self):
        assert self.code == 0, str(self)
        return self


def run(command, persona=host.ROOT, env=None, input=None, cwd="/", timeout=TIMEOUT, **more):
    """Runs a command to its end. `input` is bytes or text."""
    if isinstance(input, str):
        input = input.encode()
    # Files, not pipes: a server that the command leaves behind would hold a pipe open.
    with open_scratch() as out, open_scratch() as err:
        process = subprocess.Popen(
            list(map(str, command)), env=env, cwd=cwd, stdout=out, stderr=err,
            stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL, **persona.credentials, **more)
        try:
            process.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            err.write(f"\n(no end within {timeout} s: killed)".encode())
        out.seek(0)
        err.seek(0)
        return Result(list(map(str, command)), process.returncode,
                      out.read().decode(errors="replace"), err.read().decode(errors="replace"))


def open_scratch():
    return os.fdopen(os.memfd_create("output"), "r+b", buffering=0)


class Daemon:
    """A cofferd with its own state and socket."""

    def __init__(self, programs, persona, directory, environment):
        self.programs, self.persona, self.environment = programs, persona, environment
        self.state, self.socket, self.log = directory / "state", directory / "cofferd.sock", directory / "cofferd.log"
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    def start(self, **more):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "cofferd", "--state", self.state, "--socket", self.socket],
                env=self.environment, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                **self.persona.credentials, **more)
        assert host.eventually(lambda: self.process.poll() is not None or self._answers()), "no answer from cofferd"
        assert self.process.poll() is None, f"cofferd ended: {self.log.read_text()}"
        return self

    def _answers(self):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket))
            except OSError:
                return False
            return True

    def stop(self, number=signal.SIGTERM):
        """Gives the exit status."""
        if self.process is None:
            return None
        self.process.send_signal(number)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.process = None


class Site:
    """One persona's view of one daemon, with a directory to work in."""

    def __init__(self, programs, persona, daemon, work, environment):
        self.programs, self.persona, self.daemon, self.work = programs, persona, daemon, work
        self.environment = environment
        self.number = itertools.count()

    def at(self, daemon):
        """The same persona at another daemon."""
        return Site(self.programs, self.persona, daemon, self.work,
                    {**self.environment, "COFFER_SOCKET": str(daemon.socket)})

    # Commands

    def run(self, program, *arguments, env=None, **more):
        environment = {**self.environment, **(env or {})}
        environment = {name: value for name, value in environment.items() if value is not None}
        return run([self.programs / program, *arguments], self.persona, environment, cwd=self.work, **more)

    def coffer(self, *arguments, **more):
        return self.run("coffer", *arguments, **more)

    def json(self, *arguments, **more):
        """The document that a command prints with --json."""
        return self.coffer(*arguments, "--json", **more).ok().json()

    def call(self, function, *arguments):
        """Runs a Python function as the persona: nobody else, root included, may look into its mounts."""
        return host.call_as(self.persona, function, *arguments)

    # Things to work with

    def new_name(self, prefix="thing"):
        return f"{prefix}-{next(self.number)}"

    def path(self, prefix="file"):
        return self.work / self.new_name(prefix)

    def directory(self, prefix="mountpoint"):
        """A new empty directory of the persona's."""
        path = self.path(prefix)
        path.mkdir()
        os.chown(path, self.persona.uid, self.persona.gid)
        return path

    def own(self, path):
        """Gives a file to the persona."""
        os.chown(path, self.persona.uid, self.persona.gid)
        return path

    def import_key(self, value, **more):
        return self.json("key", "import", "--format", "hex", input=value.hex(), **more)["id"]

    def volume(self, size="8M", *options):
        """A new volume's document."""
        return self.json("volume", "create", self.new_name("volume"), "--size", size, *options)

    def known_volume(self, size="8M", *options):
        """A new volume's document, and the passphrase that its key makes."""
        value = os.urandom(32)
        document = self.volume(size, "--key-id", self.import_key(value), *options)
        return document, value.hex().encode()

    @contextlib.contextmanager
    def attached(self, volume, *options, directory=None):
        """Attaches for the length of a block and gives the path of the decrypted image."""
        directory = directory or self.directory()
        self.coffer("attach", volume, directory, *options).ok()
        try:
            yield directory / "volume"
        except BaseException:
            self.coffer("detach", directory)
            raise
        self.coffer("detach", directory).ok()

    def server(self, directory):
        """The ID of the process that serves a directory."""
        return self.json("attachment", "show", directory)["pid"]

    # What must not change

    def snapshot(self, *images):
        """All that a command that fails must leave as it was."""
        return {
            "volumes": self.json("volume", "list"),
            "keys": self.json("key", "list"),
            "attachments": self.json("attachment", "list"),
            "images": {str(image): fingerprint(image) for image in images},
            "files": sorted(str(path) for path in self.daemon.state.rglob("*.img")),
            "mounts": host.mounts(self.work),
            "loops": host.loop_devices_below(self.work),
        }


def fingerprint(path):
    """The kind, owner, mode, size and content of a file."""
    info = os.lstat(path)
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return (info.st_mode, info.st_uid, info.st_gid, info.st_size, digest.hexdigest())


def check_error(result, code, *mentions):
    """A failure is one clear text for people, nothing on stdout, and the documented exit code."""
    assert result.code == code, str(result)
    assert result.out == "", str(result)
    text = result.err.strip()
    assert text, f"no text on stderr: {result}"
    assert len(text.splitlines()) <= 4, str(result)
    assert text.lower().count("error:") <= 1, str(result)
    for noise in ["Fatal", "Optional(", "Error(", "Error Domain", "SystemError", "VolumeError", "nil", "Stack dump"]:
        assert noise not in text, f"'{noise}' is not for people: {result}"
    for mention in mentions:
        assert str(mention) in text, f"does not say '{mention}': {result}"


def check_json_error(result, code):
    """With --json the same failure is one JSON object on stderr."""
    assert result.code == code, str(result)
    assert result.out == "", str(result)
    document = json.loads(result.err)
    assert set(document) == {"error"}, str(result)
    error = document["error"]
    assert {"code", "message"} <= set(error) <= {"code", "message", "advice"}, str(result)
    assert all(isinstance(value, str) and value for value in error.values() if value is not None), str(result)
    return error


def install_programs(source, target):
    """Copies the programs to where every user may run them."""
    target.mkdir(mode=0o755)
    for name in ["coffer", "cofferd", "mount.coffer"]:
        shutil.copy2(source / name, target / name)
        os.chmod(target / name, 0o755)
    (target / "umount.coffer").symlink_to("mount.coffer")
    return target


def is_uuid(text):
    return isinstance(text, str) and str(uuid.UUID(text, version=4)) == text
