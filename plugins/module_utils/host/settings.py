"""The table of an agent's settings: what each variable of the role becomes on a host.

`roles/kraken_agent/meta/argument_specs.yml` says what the variables mean to people, with types and defaults. This table
says what each one becomes, for which agents and with which ways of installing. Everything that puts an agent on a host
reads it, and so do the console and the documentation.
"""

from __future__ import annotations

from typing import Dict, Mapping, Sequence, Tuple

from .setting import (
    BINARIES,
    COMPOSE,
    DATA_DIR,
    DOCKER,
    DRAIN_SECONDS,
    METHODS,
    NONCE_FILE,
    ONE_JOB,
    OURS,
    SCRIPT,
    UPDATE,
    WINDOWS,
    Setting,
    as_ca_bundle,
    as_commas,
    as_data,
    as_listed,
    as_nonce,
    as_server,
    as_update,
    as_yes,
    unless,
)

_LINUX = (BINARIES, SCRIPT)
_ON_HOST = (*_LINUX, WINDOWS)
_CONTAINERS = (DOCKER, COMPOSE)
_WITH_OURS = (*_LINUX, *_CONTAINERS)


def _each(methods: Sequence[str], what: str) -> Dict[str, str]:
    return dict.fromkeys(methods, what)


_ONE_IN_IMAGE = "The image decides that"
_NO_UPDATE = "Only kraken-fleet's own agent, installed as files, checks what it is updated to; take it out"
_NO_CHECKS = "Kraken's own agent takes each version that its server has; take it out"
_ON_WINDOWS = "Kraken's own agent, which Windows hosts run, does not know it; take it out"
_KEEPS_NOTHING = "Kraken's own agent keeps the directory of its latest job only, and looks at no disk; take it out"
_NO_UNIT = "There is no systemd unit for it; take it out"
_FIXED_ACCOUNT = "The agent's account is fixed there"


def _of_disk(name: str, usual: str) -> Setting:
    """Return a setting of how the agent keeps its disk; `usual` is what it does by itself."""
    return Setting(
        f"kraken_agent_{name}",
        methods=_WITH_OURS,
        name=f"KRAKEN_AGENT_{name.upper()}",
        option=name,
        agents=(OURS,),
        instead=_ON_WINDOWS,
        upstream=_KEEPS_NOTHING,
        text=unless(usual),
    )


def _on_linux(name: str, becomes: str, instead: str = "") -> Setting:
    """Return a setting that only agents installed as files on Linux honour, and that is no variable of kraken.env."""
    return Setting(f"kraken_agent_{name}", methods=_LINUX, more=_each(_LINUX, becomes), option=name, instead=instead)


SETTINGS: Tuple[Setting, ...] = (
    Setting("kraken_agent_server_url", name="KRAKEN_SERVER_ADDR", option="server_url", text=as_server),
    Setting("kraken_clickhouse_addr", name="KRAKEN_CLICKHOUSE_ADDR", option="clickhouse_addr"),
    Setting(
        "kraken_minio_addr",
        name="KRAKEN_MINIO_ADDR",
        option="minio_addr",
        agents=(OURS,),
    ),
    Setting(
        "kraken_agent_address",
        methods=(*_ON_HOST, DOCKER),
        name="KRAKEN_AGENT_ADDRESS",
        option="address",
        agents=(OURS,),
        instead="Give each entry of kraken_agent_instances its address",
    ),
    Setting(
        "kraken_agent_tools_dirs",
        name="KRAKEN_TOOLS_DIRS",
        more=_each(_CONTAINERS, "volumes, for reading only"),
        option="tools_dirs",
        text=as_listed,
    ),
    Setting("kraken_agent_system_id", name="KRAKEN_SYSTEM_ID", option="system_id"),
    Setting(
        "kraken_agent_drain_seconds",
        name=DRAIN_SECONDS,
        more={
            **_each(_LINUX, "`TimeoutStopSec` of the unit"),
            DOCKER: "`--stop-timeout`",
            COMPOSE: "`stop_grace_period`",
            WINDOWS: "`AppStopMethodConsole` of the service",
        },
        option="drain_seconds",
        agents=(OURS,),
    ),
    _of_disk("min_free", "512M"),
    _of_disk("keep_jobs", "10"),
    _of_disk("keep_jobs_days", "30"),
    _of_disk("keep_images", "20"),
    _of_disk("keep_images_days", "30"),
    Setting(
        "kraken_agent_one_job",
        methods=_WITH_OURS,
        name=ONE_JOB,
        more={
            **_each(_LINUX, "a home in the data directory"),
            **_each(_CONTAINERS, "a container with nothing but its data to write to"),
        },
        option="one_job",
        agents=(OURS,),
        instead=_ON_WINDOWS,
        upstream="Kraken's own agent leaves what a job has left; take kraken_agent_one_job out",
        text=as_yes,
    ),
    Setting(
        "kraken_agent_update",
        methods=_ON_HOST,
        name=UPDATE,
        more=_each(_ON_HOST, "`--no-update` for Kraken's own agent with `managed`"),
        option="update",
        agents=(OURS,),
        instead="The image decides the version; set kraken_agent_image",
        text=as_update,
    ),
    Setting(
        "kraken_agent_update_sha256",
        methods=_LINUX,
        name="KRAKEN_AGENT_UPDATE_SHA256",
        option="update_sha256",
        agents=(OURS,),
        instead=_NO_UPDATE,
        upstream=_NO_CHECKS,
        text=as_commas,
    ),
    Setting(
        "kraken_agent_update_older",
        methods=_LINUX,
        name="KRAKEN_AGENT_UPDATE_OLDER",
        option="update_older",
        agents=(OURS,),
        instead=_NO_UPDATE,
        upstream=_NO_CHECKS,
        text=as_yes,
    ),
    Setting(
        "kraken_agent_ca_bundle",
        methods=(*_ON_HOST, DOCKER),
        name="SSL_CERT_FILE",
        more=_each((*_ON_HOST, DOCKER), "the file `ca-bundle.crt`"),
        option="ca_bundle",
        instead="Put the file into the image, and name it as SSL_CERT_FILE in kraken_agent_environment",
        text=as_ca_bundle,
    ),
    Setting(
        "kraken_registration_trust",
        methods=_LINUX,
        name=NONCE_FILE,
        more=_each(_LINUX, "the file `nonce`"),
        option="attested",
        agents=(OURS,),
        instead="Choose another policy; only kraken-fleet's own agent, installed as files, can show a secret",
        upstream="Choose another policy; Kraken's own agent knows no secret",
        only="attested",
        text=as_nonce,
    ),
    _on_linux("fresh_nonce", "the file `nonce`", "Take it out; it is for kraken_registration_trust attested"),
    Setting("kraken_agent_environment", more=_each(METHODS, "itself"), option="environment"),
    Setting(
        "kraken_agent_instances",
        methods=(BINARIES, COMPOSE),
        more={BINARIES: "a directory and a unit each", COMPOSE: "a service each"},
        option="instances",
        renamed={COMPOSE: "agents"},
        instead="It runs one agent on a host; take kraken_agent_instances out",
        upstream="Kraken's own agent has one directory and one address on a host; take kraken_agent_instances out",
    ),
    Setting(
        "kraken_agent_dir",
        methods=_ON_HOST,
        name=DATA_DIR,
        more=_each(_ON_HOST, "the directory"),
        option="dir",
        instead=f"{_ONE_IN_IMAGE}; take kraken_agent_dir out",
        upstream="Kraken's own agent has /opt/kraken in its code; take kraken_agent_dir out",
        text=as_data,
    ),
    Setting(
        "kraken_agent_unit",
        methods=(*_ON_HOST, DOCKER),
        more={**_each(_LINUX, "the name of the unit"), DOCKER: "`--name`", WINDOWS: "the name of the service"},
        option="unit",
        renamed={DOCKER: "name"},
        instead="The names in kraken_agent_instances are those of the services; take kraken_agent_unit out",
    ),
    Setting(
        "kraken_agent_python",
        methods=_ON_HOST,
        more={**_each(_LINUX, "`ExecStart` of the unit"), WINDOWS: "`Application` of the service"},
        option="python",
        instead=f"{_ONE_IN_IMAGE}; take kraken_agent_python out",
    ),
    _on_linux("user", "`User` of the unit", f"{_FIXED_ACCOUNT}; take kraken_agent_user out"),
    _on_linux("allow_root", "`User` of the unit", f"{_FIXED_ACCOUNT}; take kraken_agent_allow_root out"),
    _on_linux(
        "extra_groups",
        "groups of the account",
        f"{_FIXED_ACCOUNT}; for the Docker executor set kraken_agent_docker_socket",
    ),
    _on_linux("sudo", "a file in `/etc/sudoers.d`", f"{_FIXED_ACCOUNT}; take kraken_agent_sudo out"),
    _on_linux("hardening", "the confinement in the unit", _NO_UNIT),
    _on_linux("unit_settings", "lines of the unit", _NO_UNIT),
    # kraken_become reads it with every method, so that it is refused with none.
    _on_linux("service_manager", "a unit or a process"),
    Setting(
        "kraken_agent_service_state",
        methods=_ON_HOST,
        more=_each(_ON_HOST, "the state of the service"),
        option="service_state",
        instead="A container is always started; stop it with docker stop, or set kraken_agent_state to absent",
    ),
    Setting(
        "kraken_agent_service_enabled",
        methods=_ON_HOST,
        more={**_each(_LINUX, "an enabled unit"), WINDOWS: "`start_mode`"},
        option="enabled",
        instead='Set kraken_agent_restart_policy to "no"',
    ),
    Setting(
        "kraken_agent_bundle_allowed_signers",
        methods=(BINARIES, WINDOWS),
        more=_each((BINARIES, WINDOWS), "a check before anything is installed"),
        option="bundle_allowed_signers",
        instead="Take it out; pin an image by its digest in kraken_agent_image, and the server's script is not signed",
    ),
    Setting(
        "kraken_agent_keep_versions",
        methods=_ON_HOST,
        more=_each(_ON_HOST, "directories in `versions`"),
        option="keep_versions",
        instead="Docker keeps the images; take kraken_agent_keep_versions out",
    ),
    Setting(
        "kraken_agent_container_network",
        methods=(DOCKER,),
        more={DOCKER: "`--network`"},
        option="network",
        instead="It is for kraken_agent_install_method docker; take kraken_agent_container_network out",
    ),
    Setting(
        "kraken_agent_docker_socket",
        methods=_CONTAINERS,
        more=_each(_CONTAINERS, "a volume"),
        option="docker_socket",
        instead="For the Docker executor add docker to kraken_agent_extra_groups",
    ),
    Setting(
        "kraken_agent_docker_socket_in_jobs",
        methods=_WITH_OURS,
        name="KRAKEN_AGENT_DOCKER_SOCKET_IN_JOBS",
        option="docker_socket_in_jobs",
        agents=(OURS,),
        instead="Kraken's own agent, which Windows hosts run, decides that itself; take it out",
        text=as_yes,
    ),
    Setting(
        "kraken_agent_restart_policy",
        methods=_CONTAINERS,
        more={DOCKER: "`--restart`", COMPOSE: "`restart`"},
        option="restart_policy",
        instead="Set Restart in kraken_agent_unit_settings",
    ),
)

# Variables of the role kraken_agent that are no settings of an agent, by what they are instead.
NOT_SETTINGS: Mapping[str, Tuple[str, ...]] = {
    "what the role does": (
        "kraken_agent_state", "kraken_agent_os", "kraken_agent_install_method", "kraken_agent_predict",
        "kraken_agent_keep_data", "kraken_agent_keep_user", "kraken_become",
    ),
    "where the release comes from": (
        "kraken_agent_bundle", "kraken_agent_bundle_sha256", "kraken_agent_bundle_url", "kraken_agent_bundle_version",
        "kraken_agent_source", "kraken_agent_download", "kraken_agent_releases", "kraken_agent_nssm",
        "kraken_agent_nssm_sha256", "kraken_agent_image", "kraken_compose_image",
    ),
    "the server, as the controller uses it": (
        "kraken_server_url", "kraken_server_user", "kraken_server_password", "kraken_server_token",
        "kraken_server_ca_bundle", "kraken_server_manage_settings", "kraken_clickhouse_native_addr",
    ),
    "the compose project": (
        "kraken_compose_file", "kraken_compose_env_file", "kraken_compose_subnet", "kraken_compose_agents",
        "kraken_compose_recreate_network",
    ),
    "what is done before": ("kraken_prereqs_install", "kraken_prereqs_lock_timeout", "kraken_prereqs_preflight"),
}  # fmt: skip
