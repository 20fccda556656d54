"""Signatures of bundles: beside a file NAME its signature NAME.sig, made and checked by ssh-keygen.

OpenSSH is on every machine that Ansible runs on, and who may sign is a file that people know from Git: the format
ALLOWED SIGNERS in ssh-keygen(1).
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from kraken_fleet.errors import BundleError

NAMESPACE = "kraken-fleet"
SUFFIX = ".sig"
_SIGN = "Sign it with `kraken-fleet bundle build --sign-key FILE`"
_SSH = "It is part of OpenSSH: on Debian and Ubuntu the package openssh-client, elsewhere openssh-clients"


def signature_of(path: Path) -> Path:
    """Say where the signature of a file is."""
    return path.with_name(path.name + SUFFIX)


def sign(path: Path, key: Path) -> Path:
    """Write the signature of a file beside it. ssh-keygen asks for the passphrase of the key when it has one.

    Args:
        key: a private key of SSH, or a public one whose private half an agent of SSH has.

    Raises:
        BundleError: ssh-keygen is missing, or cannot sign with this key.
    """
    done = _ssh_keygen("sign", "-f", str(key), "-n", NAMESPACE, content=path.read_bytes())
    if done.returncode:
        hint = "--sign-key is a private key as `ssh-keygen -t ed25519 -f FILE` makes it"
        raise BundleError(f"The key cannot sign: {_last_line(done)}", where=str(key), hint=hint)
    signature = signature_of(path)
    signature.write_bytes(done.stdout)
    return signature


def check_file(path: Path, allowed_signers: Path) -> str:
    """Return who has signed a file, by the signature beside it.

    Raises:
        BundleError: it is not signed, or by nobody who may.
    """
    try:
        content, signature = path.read_bytes(), signature_of(path)
        signed = signature.read_bytes() if signature.exists() else b""
    except OSError as error:
        raise BundleError(f"The file cannot be read: {error.strerror}", where=str(error.filename)) from error
    return check(content, signed, allowed_signers, str(path))


def check(content: bytes, signature: bytes, allowed_signers: Path, where: str) -> str:
    """Return who has signed this content: the first name of a line of the file `allowed_signers`.

    Args:
        signature: empty when there is none.
        where: the file or URL, for messages.

    Raises:
        BundleError: it is not signed, or by nobody who may.
    """
    if not signature:
        raise BundleError(f"It is not signed: there is no {where}{SUFFIX}", where=where, hint=_SIGN)
    read(allowed_signers)
    with tempfile.TemporaryDirectory(prefix="kraken-fleet-") as directory:
        signed = Path(directory, "signature")
        signed.write_bytes(signature)
        about = ("-f", str(allowed_signers), "-s", str(signed))
        # `verify` wants the name of the signer, which only the allowed signers know; find-principals looks the key up
        # there and checks nothing of the content.
        found = _ssh_keygen("find-principals", *about)
        name = found.stdout.decode(errors="replace").partition("\n")[0].strip()
        if found.returncode or not name:
            raise _refused(found, where, allowed_signers)
        verified = _ssh_keygen("verify", *about, "-I", name, "-n", NAMESPACE, content=content)
        if verified.returncode:
            raise _refused(verified, where, allowed_signers)
    return name


def read(allowed_signers: Path) -> str:
    """Read the file with the keys that may sign.

    Raises:
        BundleError: it cannot be read, or has no key.
    """
    hint = "It has a line for each key that may sign, as in `releases@example.com ssh-ed25519 AAAA...`"
    try:
        text = allowed_signers.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise BundleError(
            f"The allowed signers cannot be read: {why}", where=str(allowed_signers), hint=hint
        ) from error
    if not any(line.strip() and not line.startswith("#") for line in text.splitlines()):
        raise BundleError("There is no allowed signer in this file", where=str(allowed_signers), hint=hint)
    return text


def _refused(done: subprocess.CompletedProcess[bytes], where: str, allowed_signers: Path) -> BundleError:
    message = f"its signature {where}{SUFFIX} does not hold: {_last_line(done)}"
    hint = f"Nothing was installed. See who has made this file; the keys that may sign are in {allowed_signers}"
    return BundleError(message, where=where, hint=hint)


def _last_line(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = (done.stdout + b"\n" + done.stderr).decode(errors="replace").split("\n")
    lines = [line.strip() for line in lines if line.strip()]
    return lines[-1] if lines else f"ssh-keygen ended with {done.returncode}"


def _ssh_keygen(action: str, *arguments: str, content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["ssh-keygen", "-Y", action, *arguments], input=content, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise BundleError("The program ssh-keygen is not on this machine", hint=_SSH) from error
