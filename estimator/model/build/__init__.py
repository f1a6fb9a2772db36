"""Builds architectures: a configuration becomes a module on the meta device, its steps are traced at a few sizes and lifted.

    zoo.py        the bundled models' configurations
    tower.py      vision towers; pictures.py their attention, tiles.py those that look at tiles
    attention.py  how the library's models attend and cache here
    recurrent.py  layers with a state instead of a cache
    served.py     modules that serving engines run differently from the library's reference code
    steps.py      which calls are traced, and at which sizes
    construct.py  modules without weights
    uneven.py     decoders whose layers differ
    sampling.py   one step, traced at its sample sizes and lifted
    assemble.py   the lifted steps and what else an `Architecture` holds
    pipelines.py  the bundled diffusion pipelines' configurations
    denoisers.py  how each class of denoiser is called
    decoding.py   how latents become pixels
    tally.py      a part of a pipeline for any size, equal launches counted together
    diffusion.py  text encoders, denoiser and decoder as one `Architecture`; needs diffusers

`python -m estimator.model.build [NAME …]` regenerates the bundled files. Needs torch and transformers.
"""

from estimator.errors import MissingDependency

try:
    import transformers  # noqa: F401
except ImportError as error:
    raise MissingDependency("building an architecture needs transformers, which is not installed: pip install transformers") from error

from estimator.model.build.assemble import architecture_from_config, bundled_architecture, published_config

__all__ = ["architecture_from_config", "bundled_architecture", "published_config"]
