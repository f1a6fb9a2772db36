"""`python -m estimator profiles`: the hardware that is described; `profiles show | check | new` for one part, `profiles list` for all."""

import argparse

from estimator.cli.profiles import check, listing, new, show


def run(given: list[str]) -> int:
    """One of the sub-commands; without any, the list."""
    arguments = _parser().parse_args(given)
    return arguments.run(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m estimator profiles", description="List and describe hardware profiles.")
    parser.set_defaults(run=listing.run)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, module, text in (
        ("list", listing, "list all parts, by vendor (default)"),
        ("show", show, "print a part like a datasheet, with sources"),
        ("check", check, "check a file: what is missing, what is assumed, what contradicts"),
        ("new", new, "write a commented template to standard output"),
    ):
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if hasattr(module, "add_arguments"):
            module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser
