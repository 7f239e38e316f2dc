"""Stock tools' view of an image, and an implementation of the data format that shares nothing with Coffer."""

import hashlib
import json
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

MiB = 1 << 20


def cryptsetup(*arguments, passphrase=None, check=True):
    command = ["cryptsetup", "--batch-mode", *map(str, arguments)]
    if passphrase is not None:
        command += ["--key-file", "-"]
    result = subprocess.run(command, input=passphrase, capture_output=True, timeout=120)
    if check and result.returncode != 0:
        raise AssertionError(f"{command} failed: {result.returncode} {result.stderr.decode()}")
    return result


def opens(image, passphrase, slot=None):
    """Whether stock cryptsetup unlocks the image with this passphrase."""
    which = ["--key-slot", slot] if slot is not None else []
    result = cryptsetup("open", "--test-passphrase", *which, image, passphrase=passphrase, check=False)
    assert result.returncode in (0, 1, 2), result.stderr
    return result.returncode == 0


def metadata(image):
    """The JSON area of a LUKS2 header."""
    return json.loads(cryptsetup("luksDump", "--dump-json-metadata", image).stdout)


def tokens(image):
    return list(metadata(image)["tokens"].values())


def sound_headers(image):
    """Which of a LUKS2 image's header copies, 0 and 1, have the right checksum (LUKS2 specification, section 2.2)."""
    sound = set()
    with open(image, "rb") as file:
        size = 16384
        for copy in [0, 1]:
            file.seek(copy * size)
            header = bytearray(file.read(size))
            checksum, header[448:512] = bytes(header[448:480]), bytes(64)
            if header[:6] in (b"LUKS\xba\xbe", b"SKUL\xba\xbe") and hashlib.sha256(header).digest() == checksum:
                sound.add(copy)
    return sound


@dataclass(frozen=True)
class DataArea:
    """All that is needed to decrypt an image's data."""

    offset: int
    sector_size: int
    iv_tweak: int
    encryption: str
    volume_key: bytes


def data_area(image, passphrase):
    """As stock cryptsetup tells it."""
    dump = cryptsetup("luksDump", image).stdout.decode()
    with tempfile.TemporaryDirectory() as directory:
        key_file = Path(directory) / "key"
        cryptsetup("luksDump", "--dump-volume-key", "--volume-key-file", key_file, image, passphrase=passphrase)
        volume_key = key_file.read_bytes()
    if re.search(r"^Version:\s+1$", dump, re.MULTILINE):
        name = re.search(r"^Cipher name:\s+(\S+)$", dump, re.MULTILINE)[1]
        mode = re.search(r"^Cipher mode:\s+(\S+)$", dump, re.MULTILINE)[1]
        offset = int(re.search(r"^Payload offset:\s+(\d+)$", dump, re.MULTILINE)[1]) * 512
        return DataArea(offset, 512, 0, f"{name}-{mode}", volume_key)
    (segment,) = metadata(image)["segments"].values()
    return DataArea(int(segment["offset"]), segment["sector_size"], int(segment["iv_tweak"]),
                    segment["encryption"], volume_key)


def _transform(area, data, first_sector, encrypt):
    assert area.encryption == "aes-xts-plain64"
    assert len(data) % area.sector_size == 0
    pieces = []
    for index in range(len(data) // area.sector_size):
        unit = area.iv_tweak + (first_sector + index) * (area.sector_size // 512)
        cipher = Cipher(algorithms.AES(area.volume_key), modes.XTS(unit.to_bytes(16, "little")))
        context = cipher.encryptor() if encrypt else cipher.decryptor()
        start = index * area.sector_size
        pieces.append(context.update(data[start:start + area.sector_size]) + context.finalize())
    return b"".join(pieces)


def decrypted(image, passphrase, offset=0, length=None):
    """The plaintext of an image, without any LUKS software; offset and length in whole sectors."""
    area = data_area(image, passphrase)
    with open(image, "rb") as file:
        file.seek(area.offset + offset)
        data = file.read() if length is None else file.read(length)
    return _transform(area, data, offset // area.sector_size, encrypt=False)


def encrypt_into(image, passphrase, plaintext):
    """Fills an image that a stock tool formatted."""
    area = data_area(image, passphrase)
    with open(image, "r+b") as file:
        file.seek(area.offset)
        file.write(_transform(area, plaintext, 0, encrypt=True))
        file.truncate(area.offset + len(plaintext))


# Images as other tools make them. Few iterations: the cost of a keyslot is not what is tested.

FAST = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]


def format_luks2(image, passphrase, plaintext, sector_size=4096, key_bits=512, pbkdf=FAST):
    with open(image, "wb") as file:
        file.truncate(16 * MiB + len(plaintext))
    cryptsetup("luksFormat", "--type", "luks2", "--sector-size", sector_size, "--key-size", key_bits,
               *pbkdf, image, passphrase=passphrase)
    encrypt_into(image, passphrase, plaintext)


def format_luks1(image, passphrase, plaintext, key_bits=512):
    with open(image, "wb") as file:
        file.truncate(4 * MiB + len(plaintext))
    cryptsetup("luksFormat", "--type", "luks1", "--cipher", "aes-xts-plain64", "--key-size", key_bits,
               "--pbkdf-force-iterations", "1000", image, passphrase=passphrase)
    encrypt_into(image, passphrase, plaintext)


def reencrypt_in_place(image, passphrase, plaintext, sector_size=4096, key_bits=512):
    """A plain image that cryptsetup itself encrypts: no ciphertext in it is from these tests."""
    with open(image, "wb") as file:
        file.write(plaintext)
        file.truncate(len(plaintext) + 32 * MiB)
    cryptsetup("reencrypt", "--encrypt", "--type", "luks2", "--reduce-device-size", "32M",
               "--sector-size", sector_size, "--key-size", key_bits, *FAST, image, passphrase=passphrase)
    # The data moved down by 16 MiB; what lies behind it is what the reduction left over.
    os.truncate(image, 16 * MiB + len(plaintext))


def qemu_luks1(image, passphrase, plaintext, key_bits=512):
    cipher = {256: "aes-128", 512: "aes-256"}[key_bits]
    with tempfile.TemporaryDirectory() as directory:
        raw, secret = Path(directory) / "raw", Path(directory) / "secret"
        raw.write_bytes(plaintext)
        secret.write_bytes(passphrase)
        command = ["qemu-img", "convert", "--object", f"secret,id=pass,file={secret}", "-f", "raw", "-O", "luks",
                   "-o", f"key-secret=pass,cipher-alg={cipher},cipher-mode=xts,ivgen-alg=plain64,"
                         "hash-alg=sha256,iter-time=10", str(raw), str(image)]
        # qemu-img measures its PBKDF with the process's CPU time and gives up on a machine that counts coarsely.
        for _ in range(40):
            result = subprocess.run(command, capture_output=True, timeout=120)
            if result.returncode == 0 or b"accurate CPU usage" not in result.stderr:
                break
        assert result.returncode == 0, result.stderr
