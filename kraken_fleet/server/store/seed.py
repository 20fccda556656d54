"""What a fresh server contains: admin, group `all`, system `any`, the tools, a demo project, and every setting.

Names and defaults are those of the real server (kraken/server/initdb.py, 1.7.36), but there is no demo user and no
well-known password.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session

from kraken_fleet.errors import UsageError
from kraken_fleet.model import ALL_GROUP
from kraken_fleet.server.settings import ServerSettings
from kraken_fleet.server.sockets import host_port, outward_address
from kraken_fleet.server.store.default_stage import DEFAULT_CODE, default_schema
from kraken_fleet.server.store.passwords import hash_password, new_password
from kraken_fleet.server.store.tables import AgentsGroup, Branch, Project, Sequence, Setting, Stage, System, Tool, User

ADMIN = "admin"
# In the real server's order, for agents see their numbers.
_TOOLS = ("local_tool", "git", "shell", "pytest", "rndtest", "artifacts", "pylint", "cloc", "nglint", "cache")
_LATER_TOOLS = ("gotest", "junit_collect", "values_collect", "data")
# None is a password: it can be set but is never shown.
_Value = str | int | bool | None
_SETTINGS: dict[str, dict[str, _Value]] = {
    "general": {"server_url": "", "minio_addr": "", "clickhouse_addr": "", "clickhouse_log_ttl": 6},
    "notification": {
        "smtp_server": "",
        "smtp_tls": False,
        "smtp_from": "",
        "smtp_user": "",
        "smtp_password": None,
        "slack_token": None,
    },
    "monitoring": {"sentry_dsn": None},
    "cloud": {
        "aws_access_key": "",
        "aws_secret_access_key": None,
        "azure_subscription_id": "",
        "azure_tenant_id": "",
        "azure_client_id": "",
        "azure_client_secret": None,
        "k8s_api_server_url": "",
        "k8s_namespace": "kraken",
        "k8s_token": None,
    },
    "idp": {
        "ldap_enabled": False,
        "ldap_server": "",
        "bind_dn": "",
        "bind_password": None,
        "base_dn": "",
        "search_filter": "",
        "google_enabled": False,
        "google_client_id": "",
        "google_client_secret": None,
        "microsoft_enabled": False,
        "microsoft_client_id": "",
        "microsoft_client_secret": None,
        "github_enabled": False,
        "github_client_id": "",
        "github_client_secret": None,
        "auth0_enabled": False,
        "auth0_client_id": "",
        "auth0_client_secret": None,
        "auth0_openid_config_url": "",
    },
}


def fill(session: Session, settings: ServerSettings, on_first_password: Callable[[str], None]) -> None:
    """Add the rows of a first start.

    Args:
        on_first_password: gets admin's random password, once, before anything is committed, so that a server that is
            killed in between makes another one; not called when settings name a password file.

    Raises:
        UsageError: the password file cannot be read, is empty, or can be read by everybody.
    """
    password = _given_password(settings)
    session.add(User(id=1, name=ADMIN, password=hash_password(password or _shown(on_first_password)), superadmin=True))
    session.add(AgentsGroup(id=1, name=ALL_GROUP))
    session.add(System(id=1, name="any", executor="local"))
    session.add_all(Tool(id=number, name=name) for number, name in enumerate((*_TOOLS, *_LATER_TOOLS), 1))
    project = Project(id=1, name="Demo", description="This is a demo project.")
    # The stage has a branch of its own: whoever tries a stage in Master starts nothing else with it.
    master = Branch(id=1, project=project, name="Master", branch_name="master")
    demo = Branch(id=2, project=project, name="Demo", branch_name="master")
    for branch in (master, demo):
        branch.sequences = [Sequence(kind=kind) for kind in ("shared", "ci", "dev")]
    stage = Stage(id=1, branch=demo, name="Tests", description="This is a stage of tests.", schema=default_schema())
    stage.schema_code = DEFAULT_CODE
    session.add_all((master, demo, stage))
    for group, names in _SETTINGS.items():
        session.add_all(_setting(group, name, default) for name, default in names.items())


def follow_addresses(session: Session, settings: ServerSettings) -> None:
    """Point `server_url` and `clickhouse_addr` at what the server is bound to, unless somebody has set them."""
    host = outward_address(settings.host)
    bound = {
        "server_url": f"http://{host_port(host, settings.port)}",
        "clickhouse_addr": host_port(host, settings.log_port),
    }
    for row in session.scalars(select(Setting).where(Setting.automatic)):
        row.value = bound[row.name]


def _setting(group: str, name: str, default: _Value) -> Setting:
    kind = {bool: "boolean", int: "integer", str: "text"}.get(type(default), "password")
    automatic = name in ("server_url", "clickhouse_addr")
    return Setting(
        group=group, name=name, kind=kind, value="" if default is None else str(default), automatic=automatic
    )


def _shown(on_first_password: Callable[[str], None]) -> str:
    password = new_password()
    on_first_password(password)
    return password


def _given_password(settings: ServerSettings) -> str:
    path = settings.admin_password_file
    if path is None:
        return ""
    try:
        readable_by_all = path.stat().st_mode & 0o007
        password = path.read_text(encoding="utf-8").split("\n", 1)[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The admin password file cannot be read: {error}", where=str(path)) from error
    if readable_by_all:
        raise UsageError("Everybody can read the admin password file", where=str(path), hint=f"chmod 600 {path}")
    if not password:
        raise UsageError("The admin password file is empty", where=str(path), hint="Write the password on one line")
    return password
