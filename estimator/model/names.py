"""Which bundled model a published name stands for, whoever published it and however its weights were tuned.

`NousResearch/Llama-2-7b-chat-hf` is Llama 2 with 7 billion parameters. A name is compared as it is, then without the words that
change no shape; versions and dates are left out last, from names that state a size, and only where the catalogue has a single model
under what remains. Families and sizes are never left out, so that a name leads to the model of its size or to none.
"""

import re
from collections.abc import Callable, Mapping

Words = tuple[str, ...]

OWNERS = {"meta", "nvidia", "c4ai", "google", "microsoft", "mistralai", "ibm", "amd"}  # that some write before a name once more
PACKED = {"hf", "diffusers", "safetensors", "bf16", "fp16"}  # narrower weights are another model, see published.py
TUNED = {"instruct", "chat", "it", "pt", "base", "sft", "dpo", "thinking", "reasoning", "preview", "deduped", "uncensored", "abliterated"}
DATED = re.compile(r"v\d+(\.\d+)*|(0[1-9]|1[0-2]|2[3-6])[0-3]\d|20\d\d")  # a version; month and day, year and month, or a year
SIZE = re.compile(r"(\d+x)?\d+(\.\d+)?[bm]\d?")


def find(name: str, known: Mapping[str, str]) -> str | None:
    """The entry of `known` (by names and aliases in lower case) that a published name stands for; None where none certainly is."""
    if name.lower() in known:
        return known[name.lower()]
    exact = _only(known, words)
    given = words(name)
    while given and given not in exact and given[-1] in TUNED | PACKED:
        given = given[:-1]
    if given in exact:
        return exact[given]
    reduced = _only(known, _plain)
    if _plain(name) in reduced or not any(SIZE.fullmatch(word) for word in given):
        return reduced.get(_plain(name))
    return _only(known, _undated).get(_undated(name))


def words(name: str) -> Words:
    """The words of a name in lower case, without its owner; `_` between digits is a point, as in `v1_5`."""
    plain = re.sub(r"(?<=\d)_(?=\d)", ".", name.lower().rstrip("/").rpartition("/")[2])
    return tuple(word for word in re.split(r"[-_ ]+", plain) if word)


def _plain(name: str) -> Words:
    """The words that say which model it is."""
    return tuple(word for word in words(name) if word not in PACKED | OWNERS | TUNED)


def _undated(name: str) -> Words:
    return tuple(word for word in _plain(name) if not DATED.fullmatch(word))


def _only(known: Mapping[str, str], key: Callable[[str], Words]) -> dict[Words, str]:
    """Entries by what their names come down to, without those that more than one comes down to."""
    found: dict[Words, set[str]] = {}
    for alias, entry in known.items():
        found.setdefault(key(alias), set()).add(entry)
    return {reduced: next(iter(entries)) for reduced, entries in found.items() if len(entries) == 1}
