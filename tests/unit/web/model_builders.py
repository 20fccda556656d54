"""Short ways to make the things that pages show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from kraken_fleet.model import Agent, GroupRef, HostInfo, JobRef

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def an_agent(
    number: int,
    *,
    groups: tuple[str, ...] = ("all",),
    system: str = "debian-12",
    docker: str = "",
    silent_for: float = 3,
    disabled: bool = False,
    job: int | None = None,
    address: str | None = None,
    authorized: bool = True,
) -> Agent:
    extra: dict[str, object] = {"docker": docker} if docker else {}
    return Agent(
        id=number,
        name=address or f"10.0.0.{number}",
        address=address or f"10.0.0.{number}",
        ip_address=f"10.0.0.{number}",
        authorized=authorized,
        disabled=disabled,
        groups=tuple(GroupRef(index, name) for index, name in enumerate(groups, 1)),
        host_info=HostInfo(system=system, isolation="bare-metal", extra=extra) if system else None,
        job=JobRef(job, f"job {job}") if job else None,
        last_seen=NOW - timedelta(seconds=silent_for),
    )
