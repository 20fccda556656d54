"""The roles on a Windows host, as far as that can be played without one: see fake_windows_host.py."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.setting import UPSTREAM, WINDOWS
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.settings import SETTINGS

from kraken_fleet.server.testing import running
from tests.unit.plugins.test_settings import sample
from tests.unit.windows.fake_windows_host import MACHINE_PATH

ROOT = Path(__file__).parents[3]
NAMES = ("acl", "acl_inheritance", "copy", "file", "package", "powershell", "regedit", "service")
KEY = "HKLM:\\SYSTEM\\CurrentControlSet\\Services\\kraken-agent\\Parameters"
EMPTY: dict[str, Any] = {
    "address": "127.0.99.1",
    "programs": ["python", "git"],
    "directories": [],
    "files": {},
    "services": {},
    "registry": {},
    "rights": {},
    "locks": {},
}
RECAP = re.compile(r"^win-1 +: ok=\d+ +changed=(\d+) +unreachable=0 +failed=(\d+)", re.MULTILINE)


@dataclass
class Windows:
    """One host in an inventory, and the server that has an agent for it."""

    folder: Path
    served: Path
    server_url: str
    variables: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "state.json").read_text()))

    def become(self, **state: Any) -> None:
        """The host as it is from now on."""
        (self.folder / "state.json").write_text(json.dumps({**self.state, **state}))

    @property
    def settings(self) -> dict[str, Any]:
        """What NSSM reads."""
        return dict(self.state["registry"][KEY])

    @property
    def releases(self) -> list[str]:
        """What is below the directory `versions`."""
        versions = "C:\\kraken\\versions\\"
        return [path.removeprefix(versions) for path in self.state["directories"] if path.startswith(versions)]

    @property
    def release(self) -> str:
        """The one that the service runs."""
        return str(self.settings["AppParameters"].split("\\")[-2])

    def play(
        self,
        role: str = "kraken_agent",
        *more: str,
        fails: bool = False,
        ignore_errors: bool = False,
        task: dict[str, Any] | None = None,
        **variables: Any,
    ) -> tuple[int, str]:
        """Runs a role, or a task; how many tasks have changed something, and everything that was said."""
        book, inventory = self.folder / "book.yml", self.folder / "hosts.yml"
        given = task or {"ansible.builtin.import_role": {"name": f"kraken_ci.fleet.{role}"}}
        told = {"ansible.builtin.debug": {"msg": "{{ __kraken_agent_host | default({}) }}"}}
        play = {"hosts": "all", "gather_facts": False, "tasks": [{**given, "ignore_errors": ignore_errors}, told]}
        book.write_text(yaml.safe_dump([play]))
        found = {
            "ansible_connection": "winrm",
            "kraken_agent_server_url": self.server_url,
            **self.variables,
            **variables,
        }
        inventory.write_text(yaml.safe_dump({"all": {"hosts": {"win-1": found}}}))
        done = subprocess.run(
            [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), *more, str(book)],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_COLLECTIONS_PATH": f"{self.folder / 'simulated'}:{ROOT / 'collections'}",
                "ANSIBLE_NOCOLOR": "1",
                "SIMULATED_WINDOWS": str(self.folder / "state.json"),
                "XDG_CACHE_HOME": str(self.folder / "cache"),
            },
            check=False,
            timeout=100,
        )
        match = RECAP.search(done.stdout)
        assert match, done.stdout + done.stderr
        assert bool(done.returncode) is (fails and not ignore_errors), done.stdout + done.stderr
        return int(match[1]), done.stdout

    def serve(self, **files: bytes) -> None:
        """What the server gives to agents from now on."""
        for name, content in files.items():
            (self.served / name).write_bytes(content)


@pytest.fixture
def windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A host on which nothing was done yet; the server has upstream's agent."""
    actions = tmp_path / "simulated" / "ansible_collections" / "ansible" / "windows" / "plugins" / "action"
    actions.mkdir(parents=True)
    for name in NAMES:
        shutil.copy(Path(__file__).with_name("fake_windows_host.py"), actions / f"win_{name}.py")
    (tmp_path / "state.json").write_text(json.dumps(EMPTY))
    served = tmp_path / "served"
    served.mkdir()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("nssm-2.24/win64/nssm.exe", b"MZ")
    with running(tmp_path / "server", bundle_dir=served) as server:
        sha256 = hashlib.sha256(archive.getvalue()).hexdigest()
        made = Windows(
            tmp_path, served, server.url, {"kraken_agent_source": "server", "kraken_agent_nssm_sha256": sha256}
        )
        made.serve(kkagent=b"#!python 1", kktool=b"#!python tool", **{"nssm-2.24.zip": archive.getvalue()})
        yield made


@pytest.mark.slow
def test_an_agent_comes_changes_is_upgraded_goes_back_and_is_taken_off(windows: Windows) -> None:
    predicted, said = windows.play("kraken_agent", "--check", "--diff")
    assert predicted > 0
    assert "install version server-" in said
    assert windows.state == EMPTY

    windows.play()
    state, first = windows.state, windows.settings["AppParameters"]
    assert state["services"]["kraken-agent"]["state"] == "started"
    assert state["services"]["kraken-agent"]["username"] == "NT SERVICE\\kraken-agent"
    assert not any(
        rights["inherits"] for path, rights in state["rights"].items() if not path.endswith(("data", "logs"))
    )
    assert state["files"]["C:\\kraken\\kktool"] == hashlib.sha256(b"#!python tool").hexdigest()
    assert re.fullmatch(r'"C:\\kraken\\versions\\server-\w+\\kkagent" run --no-update', first)
    assert f"KRAKEN_SERVER_ADDR={windows.server_url}" in windows.settings["AppEnvironmentExtra"]

    changed, said = windows.play()
    assert (changed, windows.state) == (0, state)
    assert '"address": "127.0.99.1"' in said

    proxy: dict[str, Any] = {"kraken_agent_environment": {"https_proxy": "http://u:s3cret@proxy.example:3128"}}
    said = windows.play("kraken_agent", "--diff", **proxy)[1]
    assert "write settings" in said
    assert "restart kraken-agent" in said
    assert "s3cret" not in said
    assert "https_proxy=http://u:s3cret@proxy.example:3128" in windows.settings["AppEnvironmentExtra"]
    assert windows.state["files"] == state["files"]

    windows.variables |= {**proxy, "kraken_agent_keep_versions": 2}
    for number in (2, 3):
        windows.serve(kkagent=b"#!python %d" % number)
        foreseen = windows.play(kraken_agent_predict=True)[1]
        assert "install version" in foreseen
        assert f'"release": "{windows.release}"' in foreseen
        before = windows.release
        said = windows.play()[1]
        assert windows.release not in (before, "")
        assert f"switch from version {before} to {windows.release}" in said
    assert len(windows.releases) == 2

    windows.play(kraken_agent_releases={"": before})
    assert windows.release == before
    files = windows.state["files"]
    assert files["C:\\kraken\\kkagent"] == files[f"C:\\kraken\\versions\\{before}\\kkagent"]

    gone: dict[str, Any] = {"kraken_agent_state": "absent", "kraken_agent_keep_data": True}
    windows.play(**gone)
    state = windows.state
    assert (state["services"], state["registry"], state["files"]) == ({}, {}, {})
    assert state["directories"] == ["C:\\kraken", "C:\\kraken\\data"]
    assert windows.play(**gone)[0] == 0
    windows.play(**{**gone, "kraken_agent_keep_data": False})
    assert windows.state["directories"] == []


def test_a_second_deploy_waits_for_the_first_and_says_whose_it_is(windows: Windows) -> None:
    windows.become(locks={"kraken-agent": "another"})
    before = windows.state
    said = windows.play(fails=True)[1]
    assert "Another deploy works on this host: one of ann, since 2026-01-01 00:00:00 UTC" in said
    assert windows.state == before, "it changes nothing, and does not end the lock of the other one"
    assert windows.play("kraken_agent", "--check")[0] > 0, "a prediction needs no lock"

    windows.become(locks={})
    said = windows.play()[1]
    assert "win-1: changed: install version server-" in said
    assert windows.state["locks"] == {}
    windows.play(kraken_agent_nssm_sha256="0" * 64, fails=True)
    assert windows.state["locks"] == {}, "it goes when the deploy fails, too"


def test_what_cannot_be_is_said_before_anything_is_done(windows: Windows) -> None:
    said = windows.play(kraken_agent_install_method="docker", fails=True)[1]
    assert "win-1 is a Windows host: kraken_agent_install_method docker is not for it" in said
    wrong: dict[str, Any] = {
        "kraken_agent_instances": [{"name": "a", "address": "192.0.2.1"}],
        "kraken_registration_trust": "attested",
        "kraken_agent_sudo": True,
        "kraken_agent_update": "server",
        "kraken_agent_dir": "D:\\kraken",
        "kraken_agent_environment": {"KRAKEN_DATA_DIR": "D:\\data"},
    }
    said = windows.play(**wrong, fails=True)[1]
    assert "kraken_agent_instances is not for Windows hosts. It runs one agent on a host" in said
    assert "kraken_registration_trust attested is not for Windows hosts. Choose another policy" in said
    assert "kraken_agent_sudo is not for Windows hosts" in said
    assert "kraken_agent_update server: Kraken's own agent replaces its files itself, and its service may not" in said
    assert "kraken_agent_dir is not for Kraken's own agent" in said
    assert "KRAKEN_DATA_DIR in kraken_agent_environment is not for Windows hosts" in said
    assert windows.state == EMPTY


def test_every_setting_that_holds_on_windows_arrives_there(windows: Windows, tmp_path: Path) -> None:
    """Kraken's own agent gets no variable that it does not know; what users gave goes there all the same."""
    played = {
        **{one.variable: sample(one.variable) for one in SETTINGS},
        "kraken_agent_server_url": windows.server_url.replace("127.0.0.1", "localhost"),
        "kraken_agent_ca_bundle": str(_certificate(tmp_path)),
        "kraken_agent_python": "C:\\Python311\\python.exe",
        "kraken_agent_update": "managed",  # the other one is refused
        "kraken_agent_environment": {"MAKEFLAGS": "-j3", "KRAKEN_CLICKHOUSE_ADDR": "", "KRAKEN_SYSTEM_ID": "mine"},
    }
    of_windows = [setting for setting in SETTINGS if WINDOWS in setting.methods]
    # The second one is in test_windows_files.py.
    left_out = ("kraken_agent_dir", "kraken_agent_bundle_allowed_signers")
    values = {one.variable: played[one.variable] for one in of_windows if one.variable not in left_out}
    windows.play(**values)
    state = windows.state
    parameters = state["registry"][KEY.replace("kraken-agent", "ci-agent")]
    variables = dict(line.split("=", 1) for line in parameters["AppEnvironmentExtra"])
    plain = [one for one in of_windows if one.name and not one.more and UPSTREAM in one.agents]
    told = {one.name: str(values[one.variable]) for one in plain}
    assert variables == {
        **told,
        "KRAKEN_TOOLS_DIRS": "/srv/tools,/srv/more",
        "KRAKEN_SYSTEM_ID": "mine",
        "KRAKEN_DATA_DIR": "C:\\kraken\\data",
        "SSL_CERT_FILE": "C:\\kraken\\ca-bundle.crt",
        "MAKEFLAGS": "-j3",
        "PATH": MACHINE_PATH,
    }
    assert "C:\\kraken\\ca-bundle.crt" in state["files"]
    assert parameters["AppStopMethodConsole"] == 77 * 1000
    assert parameters["Application"] == "C:\\Python311\\python.exe"
    assert "--no-update" in parameters["AppParameters"], "kraken_agent_update is managed"
    service = state["services"]["ci-agent"]
    assert (service["state"], service["start_mode"]) == ("stopped", "manual")
    compared = {
        "kraken_agent_tools_dirs", "kraken_agent_drain_seconds", "kraken_agent_update", "kraken_agent_ca_bundle",
        "kraken_agent_environment", "kraken_agent_unit", "kraken_agent_python", "kraken_agent_service_state",
        "kraken_agent_service_enabled", "kraken_agent_keep_versions",  # the last in the test of upgrades above
    }  # fmt: skip
    missed = {variable for variable in values if variable not in compared} - {
        one.variable for one in of_windows if one.name and not one.more
    }
    assert not missed, f"what {sorted(missed)} becomes on Windows has to be compared here"


def _certificate(folder: Path) -> Path:
    """The certificate of any authority: one of this machine's."""
    import ssl

    path = folder / "ca.crt"
    path.write_text(ssl.DER_cert_to_PEM_cert(ssl.create_default_context().get_ca_certs(binary_form=True)[0]))
    return path


def test_a_failure_ends_what_is_done_to_the_host_even_in_a_play_that_ignores_errors(windows: Windows) -> None:
    windows.become(programs=[])
    said = windows.play(fails=True, ignore_errors=True)[1]
    assert "the host has no Python on the path of the machine" in said
    assert windows.state["directories"] == []
    assert '"failed": true' in said.rpartition("TASK")[2]


def test_python_and_git_are_installed_only_where_they_are_missing_and_may_be(windows: Windows) -> None:
    windows.become(programs=["python"])
    said = windows.play("kraken_prereqs", kraken_prereqs_install=False, fails=True)[1]
    assert "The host has no git on the machine's path" in said
    assert windows.play("kraken_prereqs", "--check")[0] == 1
    assert windows.state["programs"] == ["python"]
    assert windows.play("kraken_prereqs")[0] == 1
    assert windows.play("kraken_prereqs")[0] == 0


def test_a_preflight_says_that_it_is_for_other_hosts(windows: Windows) -> None:
    look = {"kraken_ci.fleet.preflight": {"server_url": windows.server_url}}
    assert "This is a Windows host" in windows.play(task=look, fails=True)[1]


def test_without_the_collection_one_message_says_what_to_install(windows: Windows) -> None:
    actions = windows.folder / "simulated" / "ansible_collections" / "ansible" / "windows"
    shutil.rmtree(actions / "plugins")
    for role in ("kraken_prereqs", "kraken_agent"):
        assert "ansible-galaxy collection install ansible.windows" in windows.play(role, fails=True)[1]
