"""How Kraken itself makes the agents of a group in a cloud: an agents group's `deployment`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

# Numbers of kraken/server/consts.py, 1.7.36: AGENT_DEPLOYMENT_METHOD_*; the settings of each are in a part of its name.
METHODS: Mapping[str, int] = MappingProxyType(
    {"manual": 0, "aws": 2, "aws_ecs_fargate": 3, "azure_vm": 4, "kubernetes": 5}
)
MANUAL = "manual"
# Commands that a machine runs: they may hold passwords, and the server gives them back in clear.
SECRET_SETTINGS = frozenset({"init_script"})
_OF_MACHINES = {"instances_limit", "default_image", "destruction_after_jobs", "destruction_after_time"}
# What a server of that version reads. Others that it may have are neither compared nor shown: they could be secrets.
SETTINGS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "manual": frozenset(),
        "aws": frozenset(
            {
                *_OF_MACHINES,
                *("region", "instance_type", "disk_size"),
                *("spot_instance", "monitoring", "cpu_credits_unlimited", "init_script"),
            }
        ),
        "aws_ecs_fargate": frozenset(
            {"region", "cluster", "subnets", "security_groups", "instances_limit", "default_image"}
        ),
        "azure_vm": frozenset({*_OF_MACHINES, "location", "vm_size"}),
        "kubernetes": frozenset({"instances_limit", "default_image"}),
    }
)


class Secret:
    """A text that nothing shows: neither `repr` nor a format has it, and JSON refuses it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text, to send it to the server."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "(hidden)"


Plain = str | int | bool
Setting = Plain | Secret


@dataclass(frozen=True, slots=True)
class Deployment:
    """How the agents of a group are made.

    Args:
        method: one of METHODS.
        settings: of that method, sorted by their names; those that are not named are left as they are.
    """

    method: str = MANUAL
    settings: tuple[tuple[str, Setting], ...] = ()

    @property
    def by_kraken(self) -> bool:
        """Whether Kraken makes and deletes the agents."""
        return self.method != MANUAL

    def plain(self) -> dict[str, Plain]:
        """Return the settings without secrets."""
        return {name: value for name, value in self.settings if not isinstance(value, Secret)}

    def secrets(self) -> dict[str, Secret]:
        return {name: value for name, value in self.settings if isinstance(value, Secret)}

    def shown(self) -> dict[str, object]:
        """Return it as programs are told it; a secret is named only."""
        return {"method": self.method, **self.plain(), **{name: str(secret) for name, secret in self.secrets().items()}}

    @classmethod
    def of(cls, method: str, settings: Mapping[str, object]) -> Deployment:
        """Return a deployment with those settings that are known and have a value."""
        found: dict[str, Setting] = {}
        for name, value in settings.items():
            if name in SECRET_SETTINGS and isinstance(value, str):
                found[name] = Secret(value)
            elif name in SETTINGS[method] - SECRET_SETTINGS and isinstance(value, str | int):
                found[name] = value
        return cls(method, tuple(sorted(found.items(), key=lambda item: item[0])))


@dataclass(frozen=True, slots=True)
class DesiredGroup:
    """An agents group that the inventory asks for by itself.

    Args:
        name: what jobs call it.
        deployment: None leaves the server's.
    """

    name: str
    deployment: Deployment | None = None
