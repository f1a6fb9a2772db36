"""Weights of an inference run in the format that they are stored in, as the chip at hand multiplies it."""

from typing import TypeVar

from estimator.hardware.schema import Profile
from estimator.model.architecture import Architecture
from estimator.model.published import EXPERTS_ALONE
from estimator.model.trace import Trace
from estimator.model.transform import SKIP, quantize
from estimator.model.transform.schemes import scheme
from estimator.run.formats import multiplies

Model = TypeVar("Model", bound=Architecture | Trace)


def packed(model: Model, weights: str | None, profile: Profile) -> Model:
    """`model` with its weights as `weights` says, or as its name does; activations are narrowed where the chip multiplies them so."""
    form = model.held_in if weights is None and isinstance(model, Architecture) else weights
    if form is None:
        return model
    return quantize(model, form, activations=multiplies(scheme(form).activation, profile), skip=(*SKIP, *EXPERTS_ALONE.get(form, ())))
