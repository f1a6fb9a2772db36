"""What inputs of a published run do to its energy and time that no publication states: the run priced anew at the ends of their ranges."""

from collections.abc import Callable, Mapping
from math import log
from typing import Any

from estimator.errors import EstimatorError, Infeasible
from estimator.quantity import Quantity
from estimator.run.repeat import joules, seconds
from estimator.run.training_parallel import WAITING
from estimator.run.uncertainty_responses import Figures, Response, responses
from estimator.validation.prediction import Prediction
from estimator.validation.training_inputs import quantity_of

SCALES = ("model", "work")  # inputs by which all of a run's energy and time grow
WAITS = ("layout", "stalls")  # inputs by which its time grows, in which devices wait
LEAST, AS_ASSUMED, MOST = 1.0, 2.0, 3.0  # exact: places of a practice among those that it may have been, by what they take
PATH = "assumed."  # what the paths of these inputs begin with

Predict = Callable[[Mapping[str, Any]], Prediction]


def unknown_responses(how: Mapping[str, Any], stated: Prediction, predict: Predict) -> dict[str, Response]:
    """How energy (J, all devices) and time (s) of a run change with each input that is assumed, by path; `predict` prices other inputs."""
    numbers = {name: quantity_of(how, name) for name in how["assumed"] if name != "practice"}
    waits = _waiting(stated)
    base = _figures(stated)

    def figures(path: str | None, value: float) -> Figures:
        name = path.removeprefix(PATH) if path else ""
        if name in SCALES:
            return tuple(one * value for one in base)
        if name in WAITS:
            return base[0] * (1 + (value - 1) * waits), base[1] * value
        return _figures(_possible(predict, {**how, name: _whole(name, value)})) if name else base

    found = responses({f"{PATH}{name}": one for name, one in numbers.items()}, figures)
    return found | _of_practice(how, base, predict)


def _whole(name: str, value: float) -> Any:
    return max(round(value), 1) if name in ("batch", "devices", "sequence") else value


def _possible(predict: Predict, how: Mapping[str, Any]) -> Prediction:
    try:
        return predict(how)
    except EstimatorError as error:
        raise Infeasible(str(error)) from None


def _of_practice(how: Mapping[str, Any], base: Figures, predict: Predict) -> dict[str, Response]:
    """The spread over the practices that a run may have had: the one that takes least of each figure, and the one that takes most."""
    if "practice" not in how["assumed"]:
        return {}
    changes = [(0.0,) * len(base)]
    for name in how["assumed"]["practice"]["others"]:
        try:
            other = _figures(predict({**how, "practice": name}))
        except EstimatorError:
            continue
        changes.append(tuple(log(one / stated) for one, stated in zip(other, base)))
    low, high = (tuple(pick(one) for one in zip(*changes)) for pick in (min, max))
    place = Quantity(AS_ASSUMED, "1", LEAST, MOST, how["assumed"]["practice"]["source"])
    return {f"{PATH}practice": Response(place, (LEAST, MOST), low, high)} if any((*low, *high)) else {}


def _figures(stated: Prediction) -> Figures:
    return sum(map(joules, stated.phases)), float(stated.time or 0.0)


def _waiting(stated: Prediction) -> float:
    """Power of a device that waits for others ÷ mean power of the run."""
    idle = [phase for phase in stated.phases if phase.name == WAITING and seconds(phase)]
    if not idle:
        return 1.0
    alone = sum(map(joules, idle)) / sum(map(seconds, idle))
    return alone / (sum(map(joules, stated.phases)) / sum(map(seconds, stated.phases)))
