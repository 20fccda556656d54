"""Looks at a Docker Compose project on the host it runs on, and changes it. Standard library only, Python >= 3.8."""

from __future__ import absolute_import, annotations, division, print_function

import json
import os
import subprocess
import tempfile

__metaclass__ = type


class ComposeError(Exception):
    """A command failed; says which, and its last words."""


def compose_command():
    """`docker compose`, or the older `docker-compose` when the plugin is missing."""
    for command in (["docker", "compose"], ["docker-compose"]):
        try:
            done = subprocess.run([*command, "version"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        except OSError:
            continue
        if done.returncode == 0:
            return command
    raise ComposeError("neither 'docker compose' nor 'docker-compose' works on this host: install one of them")


def run(command, cwd=None):
    """Runs a command and gives its output.

    Raises:
        ComposeError: it failed.
    """
    try:
        done = subprocess.run(
            command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, check=False
        )
    except OSError as error:
        raise ComposeError("%s: %s" % (command[0], error.strerror)) from error
    if done.returncode:
        last_words = (done.stderr or done.stdout).strip()[-600:]
        raise ComposeError("%s failed: %s" % (" ".join(command[:3]), last_words))
    return done.stdout


def read_text(path, optional=False):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        if optional:
            return ""
        raise ComposeError("%s cannot be read: %s" % (path, error.strerror)) from error


def subnets():
    """The first IPv4 subnet of every network of the engine, by network name."""
    names = run(["docker", "network", "ls", "--format", "{{.Name}}"]).split()
    found = {}
    for network in json.loads(run(["docker", "network", "inspect", *names])) if names else []:
        for entry in (network.get("IPAM") or {}).get("Config") or []:
            if "." in entry.get("Subnet", ""):
                found.setdefault(network["Name"], entry["Subnet"])
    return found


def running_services(files, env_file, directory):
    command = (
        compose_command() + project_arguments(files, env_file) + ["ps", "--services", "--filter", "status=running"]
    )
    return sorted(run(command, directory).split())


def project_arguments(files, env_file):
    arguments = ["--env-file", env_file] if env_file else []
    for file in files:
        arguments += ["-f", file]
    return arguments


def write_atomically(path, text):
    descriptor, fresh = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".compose-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(fresh, 0o644)
        os.replace(fresh, path)
    except BaseException:
        os.unlink(fresh)
        raise


def bring_up(files, env_file, directory, recreate_network):
    """Starts what is missing. With `recreate_network`, takes everything down and removes the network before."""
    command = compose_command() + project_arguments(files, env_file)
    if recreate_network:
        run([*command, "down", "--remove-orphans"], directory)
        if recreate_network in run(["docker", "network", "ls", "--format", "{{.Name}}"]).split():
            run(["docker", "network", "rm", recreate_network], directory)
    run([*command, "up", "--detach", "--remove-orphans"], directory)
