"""fio writes and verifies at random offsets and sizes, from several jobs, buffered and direct."""

import json
import subprocess

import pytest

MiB = 1 << 20


def fio(path, *options):
    """Runs one fio job file; gives the number of errors and the bytes verified."""
    command = ["fio", "--output-format=json", "--name=verify", f"--filename={path}", "--thread", "--group_reporting",
               "--verify=crc32c", "--verify_fatal=1", "--verify_dump=0", "--randrepeat=0", "--fallocate=none",
               "--allow_file_create=0", *options]
    # fio may leave state files of a verification where it runs.
    result = subprocess.run(command, capture_output=True, text=True, cwd=path.parent.parent, timeout=100)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr
    (job,) = json.loads(result.stdout[result.stdout.index("{"):])["jobs"]
    return job["error"], job["read"]["io_bytes"]


RANDOM = ["--rw=randwrite", "--bsrange=512-1m", "--bs_unaligned", "--numjobs=4", "--size=12m",
          "--offset_increment=12m", "--do_verify=1"]


@pytest.mark.parametrize("sector_size", ["512", "4096"])
@pytest.mark.parametrize("mode", [
    ["--direct=0", "--ioengine=psync"], ["--direct=1", "--ioengine=psync"],
    ["--direct=1", "--ioengine=libaio", "--iodepth=8"]], ids=["buffered", "direct", "direct at depth 8"])
def test_random_writes_verify(user_site, sector_size, mode):
    document = user_site.volume("48M", "--sector-size", sector_size)
    with user_site.attached(document["name"]) as volume:
        errors, verified = user_site.call(fio, volume, *RANDOM, *mode)
        assert errors == 0 and verified >= 40 * MiB


def test_small_blocks_in_many_jobs(user_site):
    """Eight jobs share sectors: 512-byte writes into 4096-byte sectors, interleaved."""
    document = user_site.volume("8M")
    with user_site.attached(document["name"]) as volume:
        errors, verified = user_site.call(
            fio, volume, "--rw=randwrite:1", "--bs=512", "--numjobs=8", "--size=1m", "--offset_increment=1m",
            "--direct=1", "--ioengine=libaio", "--iodepth=16", "--do_verify=1")
        assert errors == 0 and verified == 8 * MiB


def test_written_data_verify_after_attaching_again(root_site):
    document = root_site.volume("48M")
    job = ["--rw=randwrite", "--bs=64k", "--size=48m", "--ioengine=psync", "--verify_state_save=0", "--randseed=7"]
    with root_site.attached(document["name"]) as volume:
        fio(volume, *job, "--do_verify=0", "--end_fsync=1")
    with root_site.attached(document["name"]) as volume:
        errors, verified = fio(volume, *job, "--verify_only=1")
        assert errors == 0
