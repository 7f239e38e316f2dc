"""The machine as a test sees it: users, processes, mounts and loop devices, and how to be rid of them."""

import contextlib
import ctypes
import os
import pickle
import pwd
import signal
import subprocess
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)

USER = "coffer-test"


@dataclass(frozen=True)
class Persona:
    """Who runs a command."""

    name: str
    uid: int
    gid: int

    @property
    def credentials(self):
        """For subprocess."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.uid else {}


ROOT = Persona("root", 0, 0)


def ordinary_user():
    """The test's own account, made if it is missing. Gives (persona, whether it was made)."""
    made = False
    try:
        entry = pwd.getpwnam(USER)
    except KeyError:
        subprocess.run(["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
                        "--shell", "/bin/sh", USER], check=True)
        entry, made = pwd.getpwnam(USER), True
    return Persona("user", entry.pw_uid, entry.pw_gid), made


def remove_ordinary_user():
    subprocess.run(["userdel", USER], check=False, capture_output=True)


# Calls under another user's identity


class RemoteFailure(Exception):
    """A call in a child process failed in a way that cannot be raised here."""


def _become(persona):
    if persona.uid:
        os.setgroups([])
        os.setresgid(persona.gid, persona.gid, persona.gid)
        os.setresuid(persona.uid, persona.uid, persona.uid)


def call_as(persona, function, *arguments):
    """Runs the function in a child with the persona's identity (FUSE compares all of a process's IDs) and
    gives its result or raises its exception."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            try:
                _become(persona)
                outcome = (True, function(*arguments))
            except BaseException as error:  # noqa: BLE001 - it travels to the parent
                error.__traceback__ = None
                outcome = (False, error)
            try:
                data = pickle.dumps(outcome)
            except Exception:  # noqa: BLE001
                data = pickle.dumps((False, RemoteFailure(repr(outcome[1]) + traceback.format_exc())))
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(data)
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    if not data:
        raise RemoteFailure(f"{function.__name__} ended without a result")
    good, value = pickle.loads(data)
    if good:
        return value
    raise value


class Background:
    """A function that runs in a child with the persona's identity until it ends or is stopped."""

    def __init__(self, persona, function, *arguments):
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                _become(persona)
                function(*arguments)
                status = 0
            except OSError:
                status = 2
            finally:
                os._exit(status)

    def wait(self):
        """The exit status: 0 for an end, 2 for an I/O error."""
        _, status = os.waitpid(self.pid, 0)
        self.pid = None
        return os.waitstatus_to_exitcode(status)

    def stop(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = None


# Processes


def processes():
    """All process IDs."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def programs_running(directory):
    """{pid: program's name} of the processes whose executable lies in the directory."""
    found = {}
    for pid in processes():
        with contextlib.suppress(OSError):
            path = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
            if os.path.dirname(path) == str(directory) and _state(pid) != "Z":
                found[pid] = os.path.basename(path)
    return found


def _state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def is_running(pid):
    """Whether the process exists and is no zombie."""
    try:
        return _state(pid) != "Z"
    except OSError:
        return False


def kill_programs(directory, number=signal.SIGKILL):
    for pid in programs_running(directory):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def eventually(condition, seconds=30):
    """Waits until the condition holds; gives its last value."""
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return value


# Mounts and loop devices


@dataclass(frozen=True)
class Mount:
    mountpoint: str
    type: str
    source: str
    options: frozenset


def mounts(below="/"):
    """The mounts at or below a path, in the order in which they were made."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        fields, (kind, source, super_options) = left.split(), right.split()[:3]
        point = fields[4].encode().decode("unicode_escape")
        if point == str(below) or point.startswith(str(below).rstrip("/") + "/"):
            options = frozenset(fields[5].split(",") + super_options.split(","))
            found.append(Mount(point, kind, source, options))
    return found


def mount_at(path):
    """The topmost mount on exactly this path, or None."""
    exact = [mount for mount in mounts(path) if mount.mountpoint == str(path)]
    return exact[-1] if exact else None


def loop_devices():
    """{device: backing file} of all loop devices in use."""
    found = {}
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            found["/dev/" + backing.parts[3]] = backing.read_text().strip().removesuffix(" (deleted)")
    return found


def volume_loops(below):
    """The loop devices over images that are attached below a path, or whose own mount is hidden."""
    return {device for device, backing in loop_devices().items()
            if backing == "/volume" or backing.startswith(f"{below}/")}


def loop_devices_below(path):
    return {device: backing for device, backing in loop_devices().items() if backing.startswith(str(path))}


def unmount_all(below):
    """Unmounts everything below a path and frees the loop devices over it, whatever state it is in."""
    for mount in reversed(mounts(below)):
        subprocess.run(["umount", "--internal-only", "--lazy", mount.mountpoint], check=False, capture_output=True)
    for device in loop_devices_below(below):
        subprocess.run(["losetup", "--detach", device], check=False, capture_output=True)


def bind(source, target):
    subprocess.run(["mount", "--bind", source, target], check=True)


def unbind(target):
    subprocess.run(["umount", "--lazy", target], check=True)


# File contents


PUNCH = 0x02 | 0x01  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
ZERO_RANGE = 0x10


def fallocate(descriptor, mode, offset, length):
    libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    if libc.fallocate(descriptor, mode, offset, length) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def read_at(path, offset=0, length=None):
    """The bytes of a file, read through the cache."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if length is None:
            length = os.lseek(descriptor, 0, os.SEEK_END) - offset
        pieces = []
        while length > 0:
            piece = os.pread(descriptor, min(length, 1 << 20), offset)
            if not piece:
                break
            pieces.append(piece)
            offset, length = offset + len(piece), length - len(piece)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def write_at(path, offset, data):
    """Writes all the bytes into an existing file and syncs."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        view = memoryview(data)
        while view:
            count = os.pwrite(descriptor, view[:1 << 20], offset)
            offset, view = offset + count, view[count:]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
