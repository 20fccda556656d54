"""Runs git with a step's access, in a directory, with its secrets hidden from the log."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Sequence

from kraken_agent.tools.command import Finished, run_program
from kraken_agent.tools.git_access import GitAccess
from kraken_agent.tools.masking import Masker
from kraken_agent.tools.output import say


class Git:
    """git as one step uses it.

    Args:
        access: credentials and settings.
        secrets: hidden from the log.
        timeout: seconds for each command; 0 for no limit but the job's.
        directory: where it runs; default where the tool runs.
    """

    def __init__(
        self, access: GitAccess, *, secrets: Sequence[str], timeout: float, directory: Optional[Path] = None
    ) -> None:
        self.access = access
        self._secrets = secrets
        self._timeout = timeout
        self._directory = directory

    def at(self, directory: Path) -> "Git":
        """Return the same git in a repository."""
        return Git(self.access, secrets=self._secrets, timeout=self._timeout, directory=directory)

    def run(self, *words: str) -> Finished:
        """Run a command; it and its output are in the log."""
        say(Masker(self._secrets).mask_text(f"git {' '.join(words)}"))
        return self._run(words, quiet=False)

    def quietly(self, *words: str) -> Finished:
        """Run a command whose output only the tool wants."""
        return self._run(words, quiet=True)

    def _run(self, words: Sequence[str], *, quiet: bool) -> Finished:
        return run_program(
            ["git", *self.access.options(), *words],
            cwd=self._directory,
            env=self.access.environment(),
            timeout=self._timeout,
            on_line=(lambda line: None) if quiet else say,
            keep=quiet,
            secrets=self._secrets,
        )
