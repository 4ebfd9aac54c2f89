"""The workloads in Spyx, on JAX: `python with_spyx.py W1 train` measures one of them and prints a line of JSON."""

# ruff: noqa: E402 - JAX reads its settings and starts its threads when it is imported

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from measuring import measured, options, report, stay_on_one_core

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
stay_on_one_core()

import jax
import jax.numpy as jnp
import optax
import spyx
import spyx.nn as snn
from flax import nnx
from workloads import DECAY, KERNEL, LEARNING_RATE, POOL, THRESHOLD, Weights, Workload, data, weights

RNGS = nnx.Rngs(0)
SETTINGS: dict[str, Any] = {
    "beta": DECAY, "threshold": THRESHOLD, "activation": spyx.axn.arctan(), "rngs": RNGS
}  # fmt: skip


def linear(given: Weights) -> nnx.Module:
    layer = nnx.Linear(given.weight.shape[1], given.weight.shape[0], rngs=RNGS)
    layer.kernel[...], layer.bias[...] = jnp.asarray(given.weight.T), jnp.asarray(given.bias)
    return layer


def convolution(given: Weights) -> nnx.Module:
    """A convolution of pictures (B, H, W, C)."""
    out_channels, in_channels = given.weight.shape[:2]
    layer = nnx.Conv(in_channels, out_channels, (KERNEL, KERNEL), padding="VALID", rngs=RNGS)
    layer.kernel[...], layer.bias[...] = jnp.asarray(given.weight.transpose(2, 3, 1, 0)), jnp.asarray(given.bias)
    return layer


class Pool(nnx.Module):
    def __call__(self, pictures: jax.Array) -> jax.Array:
        return nnx.max_pool(pictures, (POOL, POOL), (POOL, POOL))


def feedforward(given: list[Weights], workload: Workload) -> list[nnx.Module]:
    return [layer for w in given for layer in (linear(w), snn.LIF((len(w.bias),), **SETTINGS))]


def recurrent(given: list[Weights], workload: Workload) -> list[nnx.Module]:
    """Spyx's recurrent connection has no bias."""
    first, loop, last = given
    hidden = snn.RLIF((len(loop.bias),), **SETTINGS)
    hidden.recurrent_w[...] = jnp.asarray(loop.weight.T)
    return [linear(first), hidden, linear(last), snn.LIF((len(last.bias),), **SETTINGS)]


def conv(given: list[Weights], workload: Workload) -> list[nnx.Module]:
    layers: list[nnx.Module] = []
    for kernel, (channels, *size) in zip(given[:-1], workload.population_shapes[:-1], strict=True):
        layers += [convolution(kernel), Pool(), snn.LIF((*size, channels), **SETTINGS)]
    (channels, *size), (n_classes,) = workload.population_shapes[-2:]
    last = given[-1].weight.reshape(n_classes, channels, *size).transpose(0, 2, 3, 1).reshape(n_classes, -1)
    full = linear(Weights(last, given[-1].bias))
    return [*layers, snn.Flatten(), full, snn.LIF((n_classes,), **SETTINGS)]


BUILDERS = {"feedforward": feedforward, "recurrent": recurrent, "conv": conv}


def stepped(model: snn.Sequential, raster: jax.Array) -> jax.Array:
    """All layers in one step after the other: Spyx's own loop."""
    return snn.run(model, raster)[0]


def layered(model: snn.Sequential, raster: jax.Array) -> jax.Array:
    """Layer after layer: the product of all steps at once, then the neuron in every step."""
    for layer in model.layers:
        if hasattr(layer, "initial_state"):
            raster = snn.run(layer, raster)[0]
        else:
            currents = layer(raster.reshape(-1, *raster.shape[2:]))
            raster = currents.reshape(*raster.shape[:2], *currents.shape[1:])
    return raster


FORMS: dict[str, Callable[[snn.Sequential, jax.Array], jax.Array]] = {"stepped": stepped, "layered": layered}
TRAINED = nnx.All(nnx.Param, nnx.Not(nnx.PathContains("beta")))
"""What is trained: all but the decay of the neurons."""


def steps(model: snn.Sequential, raster: jax.Array, labels: jax.Array, form: str) -> dict[str, Callable[[], jax.Array]]:
    """A training and an inference step; each gives the mean output (B, classes)."""
    forward = FORMS[form]
    optimizer = nnx.Optimizer(model, optax.adam(LEARNING_RATE), wrt=TRAINED)

    def loss(model: snn.Sequential, raster: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
        rates = forward(model, raster).mean(0)
        return optax.softmax_cross_entropy_with_integer_labels(rates, labels).mean(), rates

    def update(model: snn.Sequential, optimizer: nnx.Optimizer, raster: jax.Array, labels: jax.Array) -> jax.Array:
        differentiated = nnx.value_and_grad(loss, argnums=nnx.DiffState(0, TRAINED), has_aux=True)
        (_, rates), gradients = differentiated(model, raster, labels)
        optimizer.update(model, gradients)
        return rates

    train = nnx.cached_partial(nnx.jit(update), model, optimizer)
    infer = nnx.cached_partial(nnx.jit(lambda model, raster: forward(model, raster).mean(0)), model)

    def trained() -> jax.Array:
        rates = train(raster, labels)
        jax.block_until_ready((rates, jax.tree.leaves(nnx.state(model, nnx.Param))))
        return rates

    return {"train": trained, "infer": lambda: jax.block_until_ready(infer(raster))}


def main() -> None:
    args, workload = options(__doc__, list(FORMS))
    raster, labels = data(workload)
    if workload.kind == "conv":
        raster = raster.transpose(0, 1, 3, 4, 2)
    model = snn.Sequential(*BUILDERS[workload.kind](weights(workload), workload))
    both = steps(model, jnp.asarray(raster), jnp.asarray(labels.astype("int32")), args.form)
    report(args, "spyx", ("spyx", "jax", "jaxlib", "flax"), **measured(both[args.mode], args.repeats))


if __name__ == "__main__":
    main()
