"""One sample of a profile or stack as a plain record: what the scalar road is given."""

import numpy as np
from pydantic import BaseModel

from estimator.quantity import Quantity


def one_of(section, path, sampler, index):
    """`section` with every number replaced by the sampler's draw `index`."""

    def drawn(at):
        return float(np.ravel(sampler[at])[index if np.size(sampler[at]) > 1 else 0])

    changed = {}
    for name in type(section).model_fields:
        value, at = getattr(section, name), f"{path}.{name}"
        if isinstance(value, Quantity):
            changed[name] = drawn(at)
        elif isinstance(value, BaseModel):
            changed[name] = one_of(value, at, sampler, index)
        elif isinstance(value, dict):
            changed[name] = {
                key: drawn(f"{at}.{key}")
                if isinstance(item, Quantity)
                else one_of(item, f"{at}.{key}", sampler, index)
                if isinstance(item, BaseModel)
                else item
                for key, item in value.items()
            }
    return section.model_copy(update=changed)
