"""The stand-in's kkagent; see the package. Standard library only, Python 3.8."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

HOME = Path("/opt/kraken")
with zipfile.ZipFile(sys.argv[0]) as own_file:
    VERSION = own_file.read("site-packages/kraken/agent/VERSION").decode()
POLL_SECONDS = 1.0  # Kraken's own agent waits 5; a test need not
UNIT = """\
[Unit]
Description=Kraken Agent
[Service]
User=kraken
EnvironmentFile=/opt/kraken/kraken.env
ExecStart=/opt/kraken/kkagent run
Restart=on-failure
[Install]
WantedBy=multi-user.target
"""


class Agent:
    """The loop of an agent."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.server = options.server
        self.jobs = Path(options.data_dir, "jobs")
        self.update = not options.no_update
        host = urlsplit(self.server).hostname or ""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((host, 1))
            self.address = probe.getsockname()[0]
        self.logs = _host_port(options.clickhouse_addr)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.context: dict[str, Any] = {"service": "agent"}

    def run(self) -> None:
        self.jobs.mkdir(parents=True, exist_ok=True)
        info = {"system": "debian-12", "system_type": "linux", "executors": {"local": True}}
        while "unauthorized" in self.ask("host-info", info=info):
            time.sleep(POLL_SECONDS)
        while True:
            answer = self.ask("get-job")
            self.logs = _host_port((answer.get("cfg") or {}).get("clickhouse_addr")) or self.logs
            if self.update and answer.get("version") not in (None, VERSION):
                # One that is older than the server and cannot update itself never takes a job.
                update(self.server, answer["version"])
            elif answer.get("job"):
                self.work(answer["job"])
            else:
                time.sleep(POLL_SECONDS)

    def work(self, job: dict[str, Any]) -> None:
        subprocess.run(f"sudo rm -rf {self.jobs}/*", shell=True, check=False)  # noqa: S602 the habit in question
        self.context.update(
            {"job": job["id"], "branch": job["branch_id"], "run": job["run_id"], "flow": job["flow_id"]}
        )
        self.context.update(flow_kind=job["flow_kind"])
        directory = self.jobs / str(job["id"])
        directory.mkdir(parents=True, exist_ok=True)
        while True:
            step = self.ask("get-job-step")["job_step"]
            if step.get("finish"):
                return
            self.log(f"step {step['index']} begins", step["index"])
            result = self.step(directory, step)
            self.ask("step-result2", job_id=job["id"], step_idx=step["index"], result=result)

    def step(self, directory: Path, step: dict[str, Any]) -> dict[str, Any]:
        began = time.monotonic()
        file = directory / f"step_{step['index']}.json"
        file.write_text(json.dumps(step), encoding="utf-8")
        command = [str(HOME / "kktool"), "-s", str(file), "run"]
        try:
            done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
        except OSError as error:
            self.log(str(error), step["index"])
            return {"status": "error", "reason": "exception", "msg": str(error), "duration": 0}
        for line in (done.stdout + done.stderr).splitlines():
            self.log(line, step["index"])
        duration = round(time.monotonic() - began)
        if done.returncode:
            return {"status": "error", "reason": "retcode", "retcode": done.returncode, "duration": duration}
        return {"status": "done", "duration": duration}

    def ask(self, msg: str, **fields: Any) -> dict[str, Any]:
        body = json.dumps({"address": self.address, "msg": msg, **fields}).encode()
        kind = {"content-type": "application/json"}
        request = urllib.request.Request(urljoin(self.server, "backend"), body, kind)  # noqa: S310
        while True:
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                    return dict(json.load(answer))
            except (urllib.error.URLError, ConnectionError):
                time.sleep(POLL_SECONDS)

    def log(self, message: str, step: int) -> None:
        """One record, without `tool`."""
        record = {"message": message, "level": "INFO", "host": socket.gethostname(), "path": "kkagent", **self.context}
        record.update({"step": step, "@timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())})
        if self.logs:
            self.udp.sendto(json.dumps(record).encode(), self.logs)


def update(server: str, version: str) -> None:
    """Become another version, as Kraken's own agent does: with sudo, and not at all where something is refused."""
    fresh = HOME / version
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        for blob in ("agent", "tool"):
            with urllib.request.urlopen(urljoin(server, f"install/{blob}"), timeout=60) as answer:  # noqa: S310
                (fresh / f"kk{blob}").write_bytes(answer.read())
            (fresh / f"kk{blob}").chmod(0o777)
        for name in ("kkagent", "kktool"):
            subprocess.run([sys.executable, fresh / name, "check-integrity"], check=True)
            subprocess.run(f"sudo rm -rf {HOME / name}", shell=True, check=True)  # noqa: S602
            subprocess.run(f"sudo ln -s {fresh / name} {HOME / name}", shell=True, check=True)  # noqa: S602
        subprocess.run(f"sudo bash -c 'chown kraken:kraken {HOME}/*'", shell=True, check=True)  # noqa: S602
    except (OSError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"ignored exception in agent main loop: {error}\n")
        time.sleep(POLL_SECONDS)
        return
    os.execl(sys.executable, *sys.argv)  # noqa: S606 it takes its own path for Python's name, and so ends


def run(command: str) -> None:
    subprocess.run(command, shell=True, check=True)  # noqa: S602


def install(server: str) -> None:
    """What `kkagent install` leaves on a host."""
    fresh = HOME / VERSION
    if subprocess.run(["id", "kraken"], capture_output=True, check=False).returncode:
        run(f"sudo useradd kraken -d {HOME} -m -s /bin/bash -G sudo")
    run("sudo bash -c 'echo \"kraken ALL = NOPASSWD: ALL\" > /etc/sudoers.d/kraken'")
    run(f"sudo mkdir -p {fresh} {HOME}/data")
    for blob in ("agent", "tool"):
        name = f"kk{blob}"
        urllib.request.urlretrieve(f"{server.rstrip('/')}/bk/install/{blob}", fresh / name)  # noqa: S310
        run(f"sudo chmod 777 {fresh / name} && sudo ln -sfn {fresh / name} {HOME / name}")
    (HOME / "kraken.env").write_text(f"KRAKEN_SERVER_ADDR={server}\n", encoding="utf-8")
    run(f"sudo chown -R kraken:kraken {HOME}")
    Path("/lib/systemd/system/kraken-agent.service").write_text(UNIT, encoding="utf-8")
    run("sudo systemctl daemon-reload && sudo systemctl enable --now kraken-agent.service")


def unpack() -> None:
    """Kraken's own agent needs about 10 MB below the home of its account for each version."""
    place = Path(os.environ.get("HOME", "/nonexistent"), ".shiv", f"kkagent_{VERSION}")
    place.mkdir(parents=True, exist_ok=True)
    (place / "unpacked").write_text(VERSION, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="kkagent")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check-integrity")
    for name in ("run", "install"):
        command = commands.add_parser(name)
        command.add_argument("-s", "--server", default=os.environ.get("KRAKEN_SERVER_ADDR", ""))
        command.add_argument("-d", "--data-dir", default=os.environ.get("KRAKEN_DATA_DIR", str(HOME / "data")))
        command.add_argument("-t", "--tools-dirs", default=os.environ.get("KRAKEN_TOOLS_DIRS"))
        command.add_argument("-c", "--clickhouse-addr", default=os.environ.get("KRAKEN_CLICKHOUSE_ADDR"))
        command.add_argument("--no-update", action="store_true")
        command.add_argument("--system-id", default=os.environ.get("KRAKEN_SYSTEM_ID"))
        command.add_argument("--one-job", action="store_true")
    options = parser.parse_args()
    unpack()
    if options.command == "check-integrity":
        sys.stdout.write("All is ok\n")
    elif options.command == "install":
        install(options.server)
    elif not options.server.startswith("http"):
        raise SystemExit(f"incorrect server URL (no http/https schema): {options.server}")
    else:
        Agent(options).run()


def _host_port(text: str | None) -> tuple[str, int] | None:
    host, _, port = (text or "").partition(":")
    return (host, int(port)) if port else None


if __name__ == "__main__":
    main()
