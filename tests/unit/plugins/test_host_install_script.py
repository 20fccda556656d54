"""The server's own script on a host: when it is run, what it needs, and what it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import install_script
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.spec import AgentSpec

URL = "http://kraken.example:6363/bk/install/kraken-agent-install.sh"


def spec(directory: str = "/opt/kraken", user: str = "kraken", manager: str = "systemd") -> AgentSpec:
    return AgentSpec("", directory, "kraken-agent", user, user, "/usr/bin/python3", {}, manager=manager, script=URL)


def test_what_the_script_would_put_elsewhere_is_refused() -> None:
    install_script.check(spec())
    for other in (spec(directory="/srv/kraken"), spec(user="builder"), spec(manager="process")):
        with pytest.raises(HostError, match=r"kraken_agent_install_method(: | to )binaries"):
            install_script.check(other)


def test_a_host_without_what_the_script_needs_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install_script, "find", lambda name: "" if name in ("bash", "python3", "which") else None)
    with pytest.raises(HostError, match="needs sudo, curl or wget on the host"):
        list(install_script.once(spec(str(tmp_path))))


@pytest.mark.parametrize("name", ["current", "kkagent"])
def test_the_script_is_not_run_where_an_agent_is(name: str, tmp_path: Path) -> None:
    (tmp_path / name).symlink_to("anywhere")
    assert list(install_script.once(spec(str(tmp_path)))) == []


def test_what_useradd_has_copied_is_known_unless_somebody_changed_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skeleton, home = tmp_path / "skel", tmp_path / "home"
    for folder in (skeleton, home):
        folder.mkdir()
        for name in (".bashrc", ".profile"):
            (folder / name).write_text("as Debian has it\n")
    (home / ".profile").write_text("somebody's own\n")
    monkeypatch.setattr(install_script, "_SKELETON", str(skeleton))
    assert install_script.skeleton(str(home)) == [".bashrc"]


def test_the_systems_own_files_are_afterwards_as_before(tmp_path: Path) -> None:
    kept, new = tmp_path / "sudoers", tmp_path / "sudo.conf"
    kept.write_text("Defaults env_reset\n")
    kept.chmod(0o440)
    with install_script._kept((str(kept), str(new))):
        kept.chmod(0o640)
        kept.write_text("Defaults env_reset\nDefaults !requiretty\n")
        new.write_text("Set disable_coredump false\n")
    assert kept.read_text() == "Defaults env_reset\n"
    assert kept.stat().st_mode & 0o777 == 0o440
    assert not new.exists()
