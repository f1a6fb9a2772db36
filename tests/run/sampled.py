"""One sample of a profile or stack as a plain record: what the scalar road is given."""

import numpy as np
from pydantic import BaseModel

from estimator.quantity import Quantity


def one_of(section, path, sampler, index):
    """`section` with every number replaced by the sampler's draw `index`."""

    def drawn(at):
        return float(np.ravel(sampler[at])[index if np.size(sampler[at]) > 1 else 0])

    def entry(item, at):
        return drawn(at) if isinstance(item, Quantity) else one_of(item, at, sampler, index) if isinstance(item, BaseModel) else item

    changed = {}
    for name in type(section).model_fields:
        value, at = getattr(section, name), f"{path}.{name}"
        if isinstance(value, dict):
            changed[name] = {key: entry(item, f"{at}.{key}") for key, item in value.items()}
        elif isinstance(value, tuple):
            changed[name] = tuple(entry(item, f"{at}.{place}") for place, item in enumerate(value))
        else:
            changed[name] = entry(value, at)
    return section.model_copy(update=changed)
