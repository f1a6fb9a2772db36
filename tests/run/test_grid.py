"""Decode steps at many batches and contexts at once: the same as one by one."""

import numpy as np
import pytest
from pytest import approx

from estimator.hardware.catalogue import load_profile
from estimator.hardware.demand import Demand
from estimator.model.architecture import load_architecture
from estimator.model.transform import route
from estimator.run.engine_kernels import Batch
from estimator.run.entry import HOST, Asked
from estimator.run.grid import decode_grid
from estimator.run.lengths import Lengths
from estimator.run.parallel import Parallel
from estimator.run.phase import price_together
from estimator.run.serving_step import Steps
from estimator.run.stack import host_seconds, load_stack
from estimator.run.steady import total_energy, total_time

STACK, BATCHES, CONTEXTS = load_stack("serving"), np.array([1, 48, 400]), np.array([100, 2000, 8000])


@pytest.mark.parametrize("name, tensor", [("llama-3.1-8b", 1), ("llama-3.1-70b", 4), ("qwen3-30b-a3b", 1), ("gemma-3-12b", 1)])
def test_a_grid_is_what_single_steps_are(name, tensor):
    model, profile, parallel = route(load_architecture(name), "balanced"), load_profile("H100"), Parallel(tensor=tensor)
    grid, steps = decode_grid(model, profile, STACK, BATCHES, CONTEXTS, parallel), Steps(model, profile, STACK, parallel)
    for i, batch in enumerate(BATCHES):
        for j, context in enumerate(CONTEXTS):
            items = [part.asked for part in steps.parts(Batch(float(batch), Lengths(float(context))))]
            waiting = Asked("host", HOST, Demand(interval=host_seconds(STACK, batch)))
            phases = price_together({"decode": items, HOST: [waiting]}, profile, STACK)
            assert grid["seconds"][i, j] == approx(total_time(phases), rel=1e-5, abs=0)
            assert grid["energy"][i, j] == approx(total_energy(phases), rel=1e-5, abs=0)
