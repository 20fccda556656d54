"""`kraken-fleet bundle`: the files that run on hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kraken_fleet import bundle
from kraken_fleet.bundle import signature
from kraken_fleet.bundle.image import build_image
from kraken_fleet.cli import output
from kraken_fleet.cli.application import command_group

app = command_group()


@app.command("build")
def build(
    out: Annotated[Path, typer.Option("--out", help="The directory for the files.", metavar="DIR")] = Path("dist"),
    sign_key: Annotated[
        Path | None,
        typer.Option(
            "--sign-key", help="Sign the files with this key of SSH, into kkagent.sig and kktool.sig.", metavar="FILE"
        ),
    ] = None,
    as_json: output.AsJson = False,
) -> None:
    """Build kkagent and kktool. The same source gives the same bytes each time."""
    made = bundle.build(out)
    if sign_key:
        for one in made:
            signature.sign(one.path, sign_key)
    _show(made, as_json=as_json)


@app.command("verify")
def verify(
    files: Annotated[list[Path], typer.Argument(help="kkagent or kktool files.", metavar="FILE...")],
    allowed_signers: Annotated[
        Path,
        typer.Option(
            "--allowed-signers", help="The keys that may sign: ALLOWED SIGNERS in ssh-keygen(1).", metavar="FILE"
        ),
    ],
    as_json: output.AsJson = False,
) -> None:
    """Check the signatures FILE.sig of bundles, and say who made them."""
    signed = [{"file": str(file), "signed_by": signature.check_file(file, allowed_signers)} for file in files]
    if as_json:
        output.answer(signed)
        return
    output.table(("FILE", "SIGNED BY"), [(one["file"], one["signed_by"]) for one in signed], empty="")


@app.command("inspect")
def inspect(
    files: Annotated[list[Path], typer.Argument(help="kkagent or kktool files.", metavar="FILE...")],
    as_json: output.AsJson = False,
) -> None:
    """Check every byte of bundles against what they were built with, and say what they are."""
    _show([bundle.inspect(file) for file in files], as_json=as_json)


@app.command("image")
def image(
    tag: Annotated[str, typer.Option("--tag", help="The image's name and version.", metavar="NAME:VERSION")],
    base: Annotated[str, typer.Option("--base", help="A local image that has Python.", metavar="IMAGE")] = "",
    rootfs: Annotated[
        Path | None, typer.Option("--rootfs", help="Instead, a tar file of a system with Python.", metavar="FILE")
    ] = None,
    as_json: output.AsJson = False,
) -> None:
    """Build the agent's Docker image on this machine, without a registry."""
    made = {"tag": tag, "id": build_image(tag, base=base, rootfs=rootfs)}
    if as_json:
        output.answer(made)
        return
    output.table(("TAG", "ID"), [(made["tag"], made["id"])], empty="")


def _show(bundles: list[bundle.Bundle] | tuple[bundle.Bundle, ...], *, as_json: bool) -> None:
    if as_json:
        output.answer(bundles)
        return
    output.table(
        ("NAME", "VERSION", "SIZE", "SHA256", "FILE"),
        [(made.name, made.version, f"{made.size / 1024:.0f} KiB", made.sha256, made.path) for made in bundles],
        empty="",
    )
