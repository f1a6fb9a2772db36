"""How many tokens a model can tell apart."""

from math import ceil

from estimator.errors import InvalidSetting
from estimator.model.architecture import Architecture

SIZED = ("sequence", "past", "target")  # symbols of programs whose work grows with the tokens of a sequence


def check_positions(model: Architecture, tokens: float, given: str) -> None:
    """Refuse a sequence of more `tokens` than the model has positions for, which what was `given` makes. Raises `InvalidSetting`."""
    sized = any(symbol in program.symbols for program in model.programs.values() for symbol in SIZED)
    if sized and model.max_positions and tokens > model.max_positions:
        raise InvalidSetting(
            f"{given}: {tokens:g} tokens exceed the {model.max_positions} positions of {model.name}; take at most {model.max_positions}, "
            f"or say max_positions={ceil(tokens)} if yours reaches further, as rotary positions do when they are scaled"
        )
