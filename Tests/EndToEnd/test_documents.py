"""What the documents say: the README's commands work as they stand, and every link leads somewhere."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from harness.programs import run

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "Sources").glob("*/*.docc/*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
        assert (document.parent / target).exists(), target


def shell_blocks(heading):
    """The shell commands below a heading of the README."""
    section = (ROOT / "README.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


@pytest.mark.deadline(120)
@pytest.mark.usefixtures("mount_type")
def test_five_minutes(root_site):
    """The commands are run in their order; only the paths are the test's own."""
    site, home = root_site, root_site.directory("home")
    for name in ["srv", "mnt", "backup"]:
        (home / name).mkdir()
    (home / "key.hex").write_text(os.urandom(32).hex())
    old = home / "old.img"
    old.touch()
    os.truncate(old, 32 << 20)
    subprocess.run(["cryptsetup", "luksFormat", "-q", "--pbkdf-force-iterations", "1000", "--pbkdf", "pbkdf2",
                    "--key-file", "-", old], input=b"secret", check=True)

    first, mount, copy, own = shell_blocks("Five minutes")
    script = "\n".join([
        first, mount,
        "cp --sparse=always \"$(coffer volume show data --json | sed -n 's/.*\"image\" : \"\\(.*\\)\".*/\\1/p')\" "
        "/backup/data.img",
        copy, "coffer detach /mnt",
        own.replace("coffer key import", "ID=$(coffer key import").replace(
            "< key.hex ", "--json < key.hex | sed -n 's/.*\"id\" : \"\\(.*\\)\".*/\\1/p') ").replace(
            "--key-id ID", "--key-id $ID"),
    ])
    for path, own_path in {"/srv/data": home / "srv", "/backup": home / "backup", "/mnt": home / "mnt"}.items():
        script = script.replace(path, str(own_path))
    environment = {**site.environment, "HOME": str(home), "PATH": f"{site.programs}:{os.environ['PATH']}"}
    result = run(["bash", "-euxo", "pipefail", "-c", script], env=environment, input=b"secret", cwd=home).ok()
    assert "LUKS header information" in result.out, str(result)
    names = {volume["name"] for volume in site.json("volume", "list")}
    assert {"data", "data2", "old"} <= names
    for name in ["data", "data2", "old"]:
        site.coffer("volume", "delete", name).ok()
