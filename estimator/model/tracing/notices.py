"""What a library announces about its own future does not stop a trace."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

NOTICES = (FutureWarning, DeprecationWarning, PendingDeprecationWarning)


@contextmanager
def notices_pass() -> Iterator[None]:
    """Where warnings are errors (`python -W error`, a test suite), keep a library's deprecations warnings; hide none, show none twice."""
    with warnings.catch_warnings():
        filters: list = []
        for action, message, category, module, line in warnings.filters:
            if action == "error":
                filters += [("default", message, notice, module, line) for notice in NOTICES if issubclass(notice, category)]
            filters.append((action, message, category, module, line))
        warnings.filters[:] = filters  # type: ignore[index]
        yield
