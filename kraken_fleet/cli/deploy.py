"""`kraken-fleet deploy`: runs deploy-agents.yml, as one ansible-playbook or in slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer

from kraken_fleet.cli import slice_options
from kraken_fleet.cli.application import single_command
from kraken_fleet.cli.deploy_progress import follow
from kraken_fleet.errors import UsageError
from kraken_fleet.inventory import Inventory
from kraken_fleet.scale import DEPLOY, Phases, deploy_in_slices, playbook_command

app = single_command()

Tags = Annotated[list[str] | None, typer.Option("--tags", "-t", help="Only this part: agent, registration, verify.")]
SkippedTags = Annotated[list[str] | None, typer.Option("--skip-tags", help="All but this part.")]


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
@slice_options.with_slices
def deploy(
    context: typer.Context,
    inventory: Inventory,
    given: slice_options.GivenOptions,
    tags: Tags = None,
    skip_tags: SkippedTags = None,
) -> None:
    """Deploy the agents of an inventory, as `ansible-playbook kraken_ci.fleet.deploy_agents` does.

    All options of ansible-playbook can be given. Exit codes are those of ansible-playbook: 0 done, 2 hosts have failed,
    4 hosts were not reached.

    With --slices or --workers the hosts are deployed slice by slice, each by an ansible-playbook of its own, and
    registered and proven at the end by this machine.
    """
    if not given.wanted:
        parts = [*_repeated("--tags", tags), *_repeated("--skip-tags", skip_tags)]
        command = playbook_command(inventory, DEPLOY, *given.phases.options, *parts, *context.args)
        raise typer.Exit(slice_options.run_here(command))
    given.refuse(context.args)
    runner = given.runner()
    phases = replace(given.phases, tags=_parts(tags, skip_tags))
    raise typer.Exit(follow(deploy_in_slices(inventory, runner, given.size, phases), as_json=given.as_json))


def _repeated(option: str, values: Sequence[str] | None) -> list[str]:
    return [part for value in values or () for part in (option, value)]


def _parts(tags: Sequence[str] | None, skip_tags: Sequence[str] | None) -> tuple[str, ...]:
    """Return the parts of the deploy that are wanted, in their order.

    Raises:
        UsageError: there is another tag, or no part is left.
    """
    known = Phases().tags
    given = {tag for text in tags or known for tag in text.split(",")}
    skipped = {tag for text in skip_tags or () for tag in text.split(",")}
    if unknown := sorted((given | skipped) - {*known, "all"}):
        text = f"A deploy in slices has no part {unknown[0]!r}"
        raise UsageError(text, hint=f"The parts are {', '.join(known)}")
    wanted = tuple(tag for tag in known if (tag in given or "all" in given) and tag not in skipped)
    if known[0] not in wanted:
        hint = "Leave out --slices and --workers: registration and proof are done by this machine"
        raise UsageError("Without the part 'agent' there is nothing to do in slices", hint=hint)
    return wanted
