"""Where the URLs of receivers come from: options, files, the environment. They hold secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kraken_fleet.cli import output
from kraken_fleet.errors import UsageError
from kraken_fleet.watch import GivenUrl, has_secret

_VARIABLE = "KRAKEN_FLEET_NOTIFY"


def find_urls(options: Sequence[str], files: Sequence[Path], environ: Mapping[str, str]) -> list[GivenUrl]:
    """Return the URLs that the command line names; when it names none, those of the environment.

    Args:
        options: URLs.
        files: with an URL on each line; empty lines and those that begin with # are left out.

    Raises:
        UsageError: a file cannot be read, or others can read it.
    """
    if options or files:
        if any(map(has_secret, options)):
            text = "A notify URL on the command line may hold a secret, which others on this machine can read: "
            output.console(stderr=True).print(f"{text}use --notify-file.", style="yellow")
        given = [GivenUrl(f"--notify {number}", url) for number, url in enumerate(options, 1)]
        return [*given, *(one for path in files for one in _of_file(path))]
    words = environ.get(_VARIABLE, "").split()
    given = [GivenUrl(f"{_VARIABLE} {number}", url) for number, url in enumerate(words, 1)]
    path = environ.get(f"{_VARIABLE}_FILE")
    return [*given, *(_of_file(Path(path)) if path else ())]


def _of_file(path: Path) -> Iterator[GivenUrl]:
    try:
        if path.stat().st_mode & 0o004:
            raise UsageError(
                "Everybody on this machine can read the notify URLs", where=str(path), hint=f"chmod o-r {path}"
            )
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(f"The notify URLs cannot be read: {reason}", where=str(path)) from error
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield GivenUrl(f"{path}:{number}", line.strip())
