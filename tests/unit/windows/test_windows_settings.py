"""Every setting of an agent that holds on Windows, as it arrives on a played host."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.setting import UPSTREAM, WINDOWS
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.settings import SETTINGS

from tests.unit.plugins.test_settings import sample
from tests.unit.windows.fake_windows_host import MACHINE_PATH
from tests.unit.windows.played_host import KEY, Windows


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
