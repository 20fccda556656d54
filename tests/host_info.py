"""What an agent on a Debian host says of it."""

DEBIAN = {
    "system": "debian-12",
    "system_type": "linux",
    "distro_name": "debian",
    "distro_version": "12",
    "isolation_type": "bare-metal",
    "isolation": "bare-metal",
}
