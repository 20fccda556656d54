"""Runs steps on this host itself, in the job's directory."""

from __future__ import annotations

import os

from kraken_agent import step_files
from kraken_agent.executors.base import JOB_VARIABLE, Executor, ExecutorError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Mapping

    from kraken_agent.executors.base import Send, ShellCommand, ToolCall

# What the service manager and the provisioner tell the agent is none of a job's business.
_PRIVATE = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "KRAKEN_AGENT_NONCE_FILE", "LISTEN_FDS", "LISTEN_PID")


class LocalExecutor(Executor):
    """Steps are children of the agent; a shell step costs one fork and one exec."""

    name = "local"

    def shell(self, command: ShellCommand) -> int:
        """Replace the child by the command."""
        environment = _environment(command.env, self.place.directory)
        argv = list(command.argv)
        switch = _Switch(command.user)
        if command.script is not None:
            argv.append(_write_script(command.script, step_files.make(self.place.data_dir), switch))
        directory = os.path.join(self.place.directory, command.cwd)
        try:
            os.chdir(directory)
        except OSError as error:
            raise ExecutorError(f"cannot run in {directory}: {error.strerror}") from error
        if command.ssh_key:
            environment["SSH_AUTH_SOCK"] = _start_ssh_agent(command.ssh_key, self.place.directory, environment)
        argv = switch.apply(argv, environment, list(command.env))
        try:
            os.execvpe(argv[0], argv, environment)
        except OSError as error:
            raise ExecutorError(f"cannot start {argv[0]}: {error.strerror}") from error

    def tool(self, call: ToolCall, send: Send) -> None:
        """Run the tool's function in this very child."""
        import sys
        from pathlib import Path

        from kraken_agent.tools import locate, runner

        os.chdir(self.place.directory)
        environment = _environment(call.env, self.place.directory)
        # For keys and tokens of the tool: the agent removes this directory with the step, the job's own only with the
        # job.
        environment[step_files.VARIABLE] = step_files.make(self.place.data_dir)
        os.environ.clear()
        os.environ.update(environment)
        try:
            code = locate.locate(
                call.step,
                tools_dirs=[Path(directory) for directory in call.tools_dirs],
                data_dir=Path(self.place.data_dir),
                job_dir=Path(self.place.directory),
            )
        except locate.ToolNotFoundError as error:
            send({"status": "error", "reason": "exception", "msg": str(error)})
            return
        sys.path[:0] = [str(path) for path in code.paths]
        runner.execute(code.module, call.command, call.step, send)


def _environment(extra: Mapping[str, str], directory: str) -> Dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in _PRIVATE}
    environment[JOB_VARIABLE] = directory
    environment.update({name: str(value) for name, value in extra.items()})
    return environment


def _start_ssh_agent(key: str, directory: str, environment: Dict[str, str]) -> str:
    """Start an ssh-agent that knows a key; like everything that a job leaves behind, it is ended with the job."""
    import subprocess

    path = os.path.join(directory, f".ssh-agent-{os.getpid()}")
    # ssh-add refuses a key with line ends of Windows, or without one at the end; a browser's form sends such keys.
    text = key.replace("\r\n", "\n").strip() + "\n"
    try:
        subprocess.run(["ssh-agent", "-a", path], check=True, stdout=subprocess.DEVNULL)
        environment = {**environment, "SSH_AUTH_SOCK": path}
        subprocess.run(["ssh-add", "-q", "-"], check=True, input=text.encode(), env=environment)
    except (OSError, subprocess.SubprocessError) as error:
        raise ExecutorError(f"the step's ssh-key cannot be given to an ssh-agent: {error}") from error
    return path


def _write_script(script: str, directory: str, switch: _Switch) -> str:
    """Put a script into a file that only the user who runs it can read; upstream begins each with `set -ex`."""
    path = os.path.join(directory, "step.sh")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write("set -ex\n" + script)
    return switch.give(path)


class _Switch:
    """Running as another user: the agent's rights allow it when it is root, else sudo is asked."""

    def __init__(self, user: str) -> None:
        self._entry = None
        if not user:
            return
        import pwd

        try:
            entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
        except KeyError:
            raise ExecutorError(f"the step wants user {user}, whom this host does not know") from None
        if entry.pw_uid != os.geteuid():
            self._entry = entry

    def give(self, path: str) -> str:
        """Let the user read a file in a directory that is closed to everybody else; return its path then."""
        if self._entry is None:
            return path
        if os.geteuid() != 0:
            # Only root can give a file away, and sudo passes no open file on; the name is not to be guessed.
            os.chmod(os.path.dirname(path), 0o711)  # noqa: S103 - to pass through, not to look
            os.chmod(path, 0o644)
            return path
        os.chown(path, self._entry.pw_uid, self._entry.pw_gid)
        descriptor = os.open(path, os.O_RDONLY)
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - the function takes no name
        return f"/dev/fd/{descriptor}"

    def apply(self, argv: List[str], environment: Dict[str, str], names: List[str]) -> List[str]:
        """Become the user now, or return the command line that does."""
        if self._entry is None:
            return argv
        environment.update(HOME=self._entry.pw_dir, USER=self._entry.pw_name, LOGNAME=self._entry.pw_name)
        if os.geteuid() == 0:
            # In this order: after setuid the process may not change its groups any more.
            os.initgroups(self._entry.pw_name, self._entry.pw_gid)
            os.setgid(self._entry.pw_gid)
            os.setuid(self._entry.pw_uid)
            return argv
        # By name only: sudo gives the values on from its own environment, so no secret comes into a command line.
        keep = [f"--preserve-env={','.join(names)}"] if names else []
        return ["sudo", "-n", "-H", "-u", self._entry.pw_name, *keep, "--", *argv]
