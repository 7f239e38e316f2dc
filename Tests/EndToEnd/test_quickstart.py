"""The newcomer's first command runs from end to end and leaves nothing behind."""

import os
import subprocess
from pathlib import Path

import pytest

from harness import host

QUICKSTART = Path(__file__).resolve().parents[2] / "examples" / "quickstart.sh"


def demonstrate(programs, directory, **more):
    """Its second half: the programs are built already."""
    return subprocess.run([QUICKSTART, "--demonstrate", programs], capture_output=True, text=True, timeout=280,
                          env={**os.environ, "TMPDIR": str(directory)}, **more)


@pytest.mark.deadline(300)
def test_quickstart(programs, base):
    directory = base / "quickstart"
    directory.mkdir()
    loops = host.loop_devices()
    result = demonstrate(programs, directory)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "\nDone: " in result.stdout
    assert list(directory.iterdir()) == [] and host.loop_devices() == loops
    assert not host.programs_running(programs)


@pytest.mark.deadline(300)
def test_failure_cleans_up_and_is_told(programs, base):
    """With a disk that is too small for the files."""
    directory = base / "quickstart-small"
    directory.mkdir()
    loops = host.loop_devices()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120m", "tmpfs", directory], check=True)
    try:
        result = demonstrate(programs, directory)
        assert result.returncode != 0 and "failed" in result.stderr, result.stdout + result.stderr
        assert host.eventually(lambda: host.loop_devices() == loops)
        assert list(directory.iterdir()) == [] and not host.programs_running(programs)
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)
