"""How many joules a training or inference run takes, where they go, and why: from the transistor up to the model.

>>> from estimator import estimate
>>> print(estimate("llama-3.1-8b", hw="H100"))

Names are fetched from their rooms when they are first used, so `import estimator` costs milliseconds and loads neither torch
nor any other library outside the standard one.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from estimator.api import compare as compare
    from estimator.api import estimate as estimate
    from estimator.api import sweep as sweep
    from estimator.errors import EstimatorError as EstimatorError
    from estimator.hardware.catalogue import list_profiles as list_profiles
    from estimator.hardware.catalogue import load_profile as load_profile
    from estimator.measurement.session import measure as measure
    from estimator.model.architecture import list_models as list_models
    from estimator.model.architecture import load_architecture as load_architecture
    from estimator.model.tracing import trace as trace
    from estimator.model.transform import prune as prune
    from estimator.model.transform import quantize as quantize
    from estimator.model.transform import route as route
    from estimator.report.estimate import Estimate as Estimate
    from estimator.run.diffusion import Diffusion as Diffusion
    from estimator.run.parallel import Parallel as Parallel
    from estimator.run.serving import Serving as Serving
    from estimator.run.settings import Inference as Inference
    from estimator.run.settings import Training as Training
    from estimator.run.stage import Stage as Stage

__version__ = "0.1.0"

_HOME = {
    "Diffusion": "estimator.run.diffusion",
    "Estimate": "estimator.report.estimate",
    "EstimatorError": "estimator.errors",
    "Inference": "estimator.run.settings",
    "Parallel": "estimator.run.parallel",
    "Serving": "estimator.run.serving",
    "Stage": "estimator.run.stage",
    "Training": "estimator.run.settings",
    "compare": "estimator.api",
    "estimate": "estimator.api",
    "list_models": "estimator.model.architecture",
    "list_profiles": "estimator.hardware.catalogue",
    "load_architecture": "estimator.model.architecture",
    "load_profile": "estimator.hardware.catalogue",
    "measure": "estimator.measurement.session",
    "prune": "estimator.model.transform",
    "quantize": "estimator.model.transform",
    "route": "estimator.model.transform",
    "sweep": "estimator.api",
    "trace": "estimator.model.tracing",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it offers {', '.join(sorted(_HOME))}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value  # the next access is an ordinary one
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
