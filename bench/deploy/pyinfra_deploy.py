"""The same end state as kraken-fleet's deploy, for pyinfra."""

from io import StringIO

from pyinfra import host
from pyinfra.operations import files, server, systemd

DIRECTORY = "/opt/kraken"
VERSION = f"{DIRECTORY}/versions/bench"
UNIT = f"""[Unit]
Description=Kraken CI agent
After=network-online.target

[Service]
User=kraken
EnvironmentFile={DIRECTORY}/kraken.env
ExecStart=/usr/bin/python3 {DIRECTORY}/current/kkagent run
Restart=always

[Install]
WantedBy=multi-user.target
"""

shell = {"shell": "/usr/sbin/nologin"}
server.user(name="User", user="kraken", home=DIRECTORY, create_home=False, system=True, **shell)
files.directory(name="Directory", path=DIRECTORY, mode="755")
files.directory(name="Versions", path=VERSION, mode="755")
files.directory(name="Data", path=f"{DIRECTORY}/data", user="kraken", mode="700")
for tool in ("kkagent", "kktool"):
    files.put(name=tool, src=f"{host.data.bundle_dir}/{tool}", dest=f"{VERSION}/{tool}", mode="755")
files.link(name="Current version", path=f"{DIRECTORY}/current", target="versions/bench")
environment = files.put(
    name="Settings",
    src=StringIO(f"KRAKEN_SERVER_ADDR={host.data.server}\nKRAKEN_DATA_DIR={DIRECTORY}/data\n"),
    dest=f"{DIRECTORY}/kraken.env",
    group="kraken",
    mode="640",
)
unit = files.put(name="Unit", src=StringIO(UNIT), dest="/etc/systemd/system/kraken-agent.service", mode="644")
systemd.service(
    name="Service",
    service="kraken-agent",
    running=True,
    enabled=True,
    restarted=environment.will_change or unit.will_change,
    daemon_reload=unit.will_change,
)
