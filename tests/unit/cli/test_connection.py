"""Where commands take server and account from: options, inventory, environment, configuration file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kraken_fleet.cli.main import main
from kraken_fleet.inventory.command import ansible_program
from kraken_fleet.server.testing import RunningServer, running
from tests.terminal import on_a_terminal

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("server")) as found:
        yield found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory as the current one, with no account anywhere."""
    for name in [name for name in os.environ if name.startswith("KRAKEN_FLEET_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def secret(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def hosts(place: Path, server: RunningServer, **more: str) -> Path:
    lines = [f"kraken_server_url: '{server.url}'", *(f"{name}: {value!r}" for name, value in more.items())]
    text = "kraken_agents:\n  hosts: {a: {kraken_agent_address: 127.0.0.91}}\n  vars:\n"
    return secret(place / "hosts.yml", text + "".join(f"    {line}\n" for line in lines))


def config(path: Path, server: RunningServer) -> Path:
    secret(path.parent / "password", server.password)
    return secret(path, f'server = "{server.url}"\nuser = "{server.user}"\npassword_file = "password"\n')


@pytest.mark.parametrize("command", ["agents list", "groups list", "jobs waiting", "discovered list"])
def test_commands_without_a_fleet_take_server_and_account_from_the_inventory(
    place: Path, server: RunningServer, run: Run, command: str
) -> None:
    path = hosts(place, server, kraken_server_user=server.user, kraken_server_password=server.password)
    code, _, err = run(*command.split(), "-i", path)
    assert (code, err) == (0, "")


def test_plan_takes_server_and_account_from_the_inventory(place: Path, server: RunningServer, run: Run) -> None:
    path = hosts(place, server, kraken_server_user=server.user, kraken_server_password=server.password)
    code, out, err = run("plan", "-i", path)
    assert code == 0, err
    assert "a: " in out


def test_an_account_in_a_vault_is_opened_with_a_password_file_and_by_asking(
    place: Path, server: RunningServer, run: Run
) -> None:
    path = hosts(place, server, kraken_server_user=server.user, kraken_server_password="{{ vault_password }}")
    key = secret(place / "key", "open sesame\n")
    vaulted = secret(place / "group_vars" / "all.yml", f"vault_password: {server.password}\n")
    subprocess.run([ansible_program("ansible-vault"), "encrypt", vaulted, "--vault-password-file", key], check=True)

    assert run("plan", "-i", path, "--vault-password-file", key)[0] == 0
    assert run("agents", "list", "-i", path, "--vault-id", f"main@{key}")[0] == 0
    command = [sys.executable, "-m", "kraken_fleet.cli.main", "plan", "-i", str(path), "--ask-vault-pass"]
    code, said = on_a_terminal(command, os.environ, typed="open sesame\n")
    assert code == 0, said

    code, _, err = run("plan", "-i", path)
    assert code == 1
    assert "--vault-password-file" in err


def test_an_option_wins_over_the_inventory_which_wins_over_the_environment(
    place: Path, server: RunningServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = hosts(place, server, kraken_server_user=server.user, kraken_server_password=server.password)
    monkeypatch.setenv("KRAKEN_FLEET_SERVER", "http://127.0.0.1:9")
    monkeypatch.setenv("KRAKEN_FLEET_TOKEN", "of-somebody-else")
    assert run("agents", "list", "-i", path)[0] == 0
    code, _, err = run("agents", "list", "-i", path, "--server", "http://127.0.0.1:9")
    assert code == 1
    assert "127.0.0.1:9" in err


def test_two_servers_on_one_command_line_are_refused(place: Path, server: RunningServer, run: Run) -> None:
    path = hosts(place, server)
    code, _, err = run("plan", "-i", path, "--server", "http://one", "-e", "kraken_server_url=http://two")
    assert code == 64
    assert "names two servers: http://one and http://two" in err


def test_a_file_in_the_current_directory_wins_over_the_one_of_the_user(
    place: Path, server: RunningServer, run: Run
) -> None:
    users = secret(place.parent / "config" / "kraken-fleet" / "kraken-fleet.toml", 'server = "http://127.0.0.1:9"\n')
    config(place / "kraken-fleet.toml", server)
    assert run("agents", "list")[0] == 0
    (place / "kraken-fleet.toml").unlink()
    config(users, server)
    assert run("agents", "list")[0] == 0


def test_the_inventory_that_the_file_names_counts_like_one_that_is_given(
    place: Path, server: RunningServer, run: Run
) -> None:
    hosts(place, server, kraken_server_user=server.user, kraken_server_password=server.password)
    secret(place / "kraken-fleet.toml", 'inventory = "hosts.yml"\n')
    for command in ("plan", "agents list", "plan --limit a"):
        code, out, err = run(*command.split())
        assert code == 0, err
    assert "a" in out
    code, _, err = run("plan", "-i", str(place / "none.yml"))
    assert code == 1
    assert "none.yml" in err
    secret(place / "kraken-fleet.toml", f'server = "{server.url}"\n')
    code, _, err = run("plan")
    assert code == 64
    assert "No inventory is named" in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server = ", "not valid TOML"),
        ('sever = "x"', "There is no key 'sever'; did you mean server?"),
        ("user = 3", "The value of user is not a text"),
        ('password = "x"', "There is no key 'password'; did you mean password_file?"),
    ],
)
def test_a_configuration_file_that_is_wrong_is_named(place: Path, run: Run, text: str, message: str) -> None:
    path = secret(place / "kraken-fleet.toml", text)
    code, _, err = run("agents", "list", "--server", "http://127.0.0.1:9", "--token-file", secret(place / "t", "abc"))
    assert code == 64
    assert message in err
    assert str(path) in err


def test_a_configuration_file_that_others_can_change_is_not_used(place: Path, server: RunningServer, run: Run) -> None:
    config(place / "kraken-fleet.toml", server).chmod(0o666)
    code, _, err = run("agents", "list")
    assert code == 64
    assert "Others can change the configuration file" in err


def test_options_for_an_inventory_need_one(place: Path, run: Run) -> None:
    code, _, err = run("agents", "list", "-e", "a=b", "--server", "http://127.0.0.1:9")
    assert code == 64
    assert "There are options for an inventory, and no inventory" in err


def test_without_any_place_the_error_names_all_of_them(place: Path, run: Run) -> None:
    code, _, err = run("agents", "list")
    assert code == 64
    assert "No Kraken server is named" in err
