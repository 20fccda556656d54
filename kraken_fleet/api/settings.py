"""What the server says about itself: version, settings, systems."""

from __future__ import annotations

from collections.abc import Mapping

from kraken_fleet.address import ServerAddress
from kraken_fleet.api import decode, shape
from kraken_fleet.api.session import Session
from kraken_fleet.errors import NotPermittedError, RequestRejectedError, ServerFaultError
from kraken_fleet.model import System


def as_kept(changes: Mapping[str, Mapping[str, object]]) -> Mapping[str, Mapping[str, object]]:
    """Give the same settings as the server has to keep them: it adds `/bk/install/agent` to `general.server_url`.

    Raises:
        UsageError: that is not the address of a server.
    """
    general = changes.get("general", {})
    url = str(general.get("server_url") or "").strip()
    return {**changes, "general": {**general, "server_url": ServerAddress.parse(url).root}} if url else changes


class SettingsCalls:
    """The part of KrakenClient about the server itself."""

    _session: Session

    def version(self) -> str:
        """Return the server's version, like `1.7.36`. Needs a valid token, so it is also how to test one.

        Raises:
            ServerError: see kraken_fleet.errors; so do all methods here.
        """
        return self._session.request("GET", "/version").decoded(decode.version)

    def settings(self) -> dict[str, dict[str, object]]:
        """Return all settings by group; passwords among them come empty.

        Raises:
            NotPermittedError: only the public part came, because the account is no superadmin.
        """
        found = self._read_settings()
        if "general" in found:
            return found
        # To a bad token the server answers 200 with the public part. This one answers 401, and so gets a new token.
        self.version()
        found = self._read_settings()
        if "general" not in found:
            raise NotPermittedError(
                "The account may not read the settings",
                where=f"GET {self._session.address.api}/settings",
                hint="Use an account with the superadmin role",
            )
        return found

    def update_settings(self, changes: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
        """Set some settings and leave the others.

        Args:
            changes: group to name to value, like `{"general": {"server_url": "http://10.0.0.5:6363"}}`.

        Returns:
            all settings as they are now.

        Raises:
            UsageError: `general.server_url` is not the address of a server.
            RequestRejectedError: the server has no such setting. It would ignore it silently, so nothing is sent.
        """
        changes = as_kept(changes)
        self._refuse_unknown(changes, self.settings())
        body = {name: dict(values) for name, values in changes.items()}
        return self._session.request("PUT", "/settings", body=body).decoded(decode.settings)

    def systems(self) -> tuple[System, ...]:
        """Return the systems that jobs may ask for; agents add theirs when they report their host."""
        return self._session.request("GET", "/systems").decoded(shape.items_of(decode.system))

    def install_file(self, name: str) -> bytes:
        """Return a file under `/install`: `agent`, `tool`, `kraken-agent-install.sh`, `kraken-agent-install.bat`.

        Raises:
            ServerFaultError: an install script before `server_url` and `clickhouse_addr` are set.
        """
        try:
            return self._session.download(f"/install/{name}")
        except ServerFaultError as error:
            hint = "Set the server's `server_url` and `clickhouse_addr` first: its install scripts contain them"
            raise ServerFaultError(error.message, where=error.where, hint=hint) from error

    def _read_settings(self) -> dict[str, dict[str, object]]:
        return self._session.request("GET", "/settings").decoded(decode.settings)

    def _refuse_unknown(
        self, changes: Mapping[str, Mapping[str, object]], known: Mapping[str, Mapping[str, object]]
    ) -> None:
        wanted = {f"{group}.{name}" for group, values in changes.items() for name in values}
        unknown = wanted - {f"{group}.{name}" for group, values in known.items() for name in values}
        if unknown:
            detail = f"This server has no setting {', '.join(sorted(unknown))}"
            raise RequestRejectedError(
                detail, status=400, detail=detail, where=f"PUT {self._session.address.api}/settings"
            )
