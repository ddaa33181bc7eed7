"""The networks of kind cnn and resnet in float64 PyTorch, twice and from nothing of the program's own:
`from_keys` builds one from the keys of the study, by the help of `ntklens keys`; `from_layers` from the
attribute `layers` of /snapshots, by the words that the README has for it.  Also their kernels, by
automatic differentiation.
"""

import math
import re

import numpy as np
import torch
import torch.nn.functional as F

ACTIVATIONS = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "erf": torch.erf,
    "gelu": F.gelu,
    "": lambda h: h,
}
NORM_EPSILON = 1e-5


class Network:
    """A function of parameters and samples, and what its parameters are.

    function(network, x) runs it on samples [N x channels x rows x columns], and asks for parameters by
    `take`, one after the other; parameters: [weight0, bias0, weight1, ...], float64, as PyTorch has them.
    """

    def __init__(self, function, snapshot, image):
        self.function = function
        self.image = image
        self.parameters = []
        while f"weight{len(self.parameters) // 2}" in snapshot:
            k = len(self.parameters) // 2
            self.parameters += [
                torch.tensor(np.float64(snapshot[f"{kind}{k}"][()])) for kind in ("weight", "bias")
            ]
        self.at, self.current = 0, self.parameters
        self.seen = []  # from_layers: what each layer with parameters put out, before the activation
        self.rate = {}  # by the number of the parameter; what is not here, is not trained

    def take(self):
        self.at += 2
        return self.current[self.at - 2], self.current[self.at - 1]

    def run(self, parameters, x):
        self.at, self.current = 0, parameters
        outputs = self.function(self, x.reshape(-1, *self.image))
        if self.at != len(parameters):
            raise AssertionError(f"{self.at} parameters are taken of {len(parameters)}")
        return outputs

    def outputs(self, x):
        return self.run(self.parameters, torch.as_tensor(np.float64(x)))

    def jacobian(self, x):
        """d f_a(x_i) / d parameters [samples x outputs x all parameters], by functorch, and the learning rate
        of each column; of parameters that are not trained there are no columns."""
        import functorch

        x = torch.as_tensor(np.float64(x))
        self.outputs(x[:1])  # fills self.rate
        trained = sorted(self.rate)

        def of_trained(some, sample):
            parameters = list(self.parameters)
            for k, value in zip(trained, some):
                parameters[k] = value
            return self.run(parameters, sample)[0]

        parts = functorch.vmap(functorch.jacrev(of_trained), (None, 0))(
            tuple(self.parameters[k] for k in trained), x[:, None]
        )
        rates = [np.full(self.parameters[k].numel(), self.rate[k]) for k in trained]
        samples, outputs = parts[0].shape[:2]
        flat = [part.detach().reshape(samples, outputs, -1).numpy() for part in parts]
        return np.concatenate(flat, axis=2), np.concatenate(rates)


# ---------------------------------------------------------------------------------------------
# From the keys of the study
# ---------------------------------------------------------------------------------------------


class _Layers:
    """Layers with the parametrisation of a cell: network.py has the formulas for MLPs."""

    def __init__(self, keys, network):
        self.keys, self.network = keys, network
        self.phi = ACTIVATIONS[keys["activation"]]
        self.norm = keys["normalization"] == "layer-norm"
        self.biases = keys["biases"] == "true"
        self.kernel = int(keys["kernel_size"])

    def _scaled(self, role):
        """Parameters of the next layer as they enter the forward pass."""
        keys = self.keys
        at = self.network.at
        weight, bias = self.network.take()
        s, t, weight_rate, bias_rate = 1.0, float(self.biases), 1.0, 1.0
        if keys["parametrization"] == "ntk" and role != "norm":
            s = math.sqrt(keys["weight_variance"] / weight[0].numel())
            t *= math.sqrt(keys["bias_variance"])
        if keys["parametrization"] == "mup":
            r = keys["width"] / keys["base_width"]
            s = 1 / r if role == "output" else 1.0
            if keys["optimizer"] == "adam":
                weight_rate = 1 / r if role == "hidden" else 1.0
            else:
                weight_rate = 1.0 if role == "hidden" else r
                bias_rate = 1.0 if role == "output" else r
        self.network.rate[at] = weight_rate
        if t > 0:
            self.network.rate[at + 1] = bias_rate
        return s * weight, t * bias

    def conv(self, h, role="hidden", stride=1, kernel=None):
        kernel = kernel or self.kernel
        weight, bias = self._scaled(role)
        assert weight.shape[1:] == (h.shape[1], kernel, kernel), (weight.shape, h.shape)
        return F.conv2d(h, weight, bias, stride=stride, padding=(kernel - 1) // 2)

    def activate(self, h):
        """The norm, if any, and phi."""
        if self.norm:
            weight, bias = self._scaled("norm")
            normed = F.layer_norm(h, h.shape[1:], eps=NORM_EPSILON)
            h = normed * weight[:, None, None] + bias[:, None, None]
        return self.phi(h)

    def pool(self, h):
        kind = self.keys["downsampling"]
        return F.max_pool2d(h, 2) if kind == "max-pool" else F.avg_pool2d(h, 2)

    def head(self, h):
        if self.keys["head"] == "global-average":
            h = h.mean(dim=(2, 3))
        h = h.flatten(1)
        if self.keys["dense_multiple"] > 0:
            weight, bias = self._scaled("hidden")
            assert len(weight) == self.keys["dense_multiple"] * self.keys["width"]
            h = self.phi(h @ weight.T + bias)
        weight, bias = self._scaled("output")
        return h @ weight.T + bias


def _stages(keys):
    """(number of the stage, its convolutions or blocks, its channels)"""
    for k, number in enumerate(str(keys["stages"]).split("-")):
        channels = keys["width"] * keys["channel_growth"] ** k
        yield k, int(number) * int(keys["depth"]), int(channels)


def _cnn(keys, layers, h):
    stages = list(_stages(keys))
    strides = keys["downsampling"] == "stride"
    role = "input"
    for stage, convolutions, channels in stages:
        for k in range(convolutions):
            stride = 2 if strides and stage > 0 and k == 0 else 1
            h = layers.activate(layers.conv(h, role, stride))
            assert h.shape[1] == channels
            role = "hidden"
        if not strides and (stage + 1 < len(stages) or keys["pool_last"] == "true"):
            h = layers.pool(h)
    return layers.head(h)


def _resnet(keys, layers, h):
    stages = list(_stages(keys))
    strides = keys["downsampling"] == "stride"
    blocks = sum(number for _, number, _ in stages)
    scale = keys["branch_scale"]
    scale = 1 / math.sqrt(blocks) if scale == "depth" else float(scale)
    h = layers.conv(h, "input")
    for stage, number, channels in stages:
        if stage > 0 and not strides:
            h = layers.pool(h)
        for k in range(number):
            stride = 2 if strides and stage > 0 and k == 0 else 1
            active = layers.activate(h)
            branch = layers.activate(layers.conv(active, stride=stride))
            branch = layers.conv(branch)
            if stride > 1 or h.shape[1] != channels:
                h = layers.conv(active, stride=stride, kernel=1)
            h = h + scale * branch
    h = layers.activate(h)
    if keys["pool_last"] == "true":
        h = layers.pool(h)
    return layers.head(h)


def from_keys(keys, snapshot, image):
    """keys: attributes of cells/<id>.h5; snapshot: its group /snapshots/<step>; image: shape of a sample."""
    build = _resnet if keys["kind"] == "resnet" else _cnn
    return Network(
        lambda network, x: build(keys, _Layers(keys, network), x), snapshot, image
    )


# ---------------------------------------------------------------------------------------------
# From the attribute `layers`
# ---------------------------------------------------------------------------------------------

_LINE = re.compile(
    r"(?P<number>\d+) (?P<what>.*?) from (?P<source>input|\d+)(?: plus (?P<plus>input|\d+))?"
    r"(?: parameters (?P<k>\d+) s (?P<s>\S+) t (?P<t>\S+))?(?: then (?P<phi>\w+))?$"
)


def _layer(what, h, other, weight, bias):
    """One line's operation; weight and bias as they enter."""
    kind, *words = what.split()
    if kind == "conv":
        stride, padding = int(words[words.index("stride") + 1]), int(words[-1])
        return F.conv2d(h, weight, bias, stride=stride, padding=padding)
    if kind in ("average-pool", "max-pool"):
        pool = F.max_pool2d if kind == "max-pool" else F.avg_pool2d
        return pool(h, int(words[0].split("x")[0]), int(words[words.index("stride") + 1]))
    if kind == "global-average":
        return h.mean(dim=(2, 3), keepdim=True)
    if kind == "layer-norm":
        normed = F.layer_norm(h, h.shape[1:], eps=float(words[words.index("eps") + 1]))
        return normed * weight[:, None, None] + bias[:, None, None]
    if kind == "add":
        return float(words[0]) * h + other
    if kind == "dense":
        return F.linear(h.flatten(1), weight, bias)
    if kind == "apply":
        return h
    raise ValueError(f"no layer is known as {what!r}")


def from_layers(file, step):
    """file: an open cells/<id>.h5.  Nothing else of it is read but /snapshots."""
    head, *lines = file["snapshots"].attrs["layers"].rstrip("\n").split("\n")
    image = [int(side) for side in head.split()[1].split("x")]
    layers = [_LINE.match(line).groupdict() for line in lines]

    def function(network, x):
        held = {"input": x}
        network.seen = []
        for layer in layers:
            weight = bias = None
            if layer["k"] is not None:
                k = 2 * int(layer["k"])
                assert k == network.at
                weight, bias = network.take()
                weight, bias = float(layer["s"]) * weight, float(layer["t"]) * bias
                network.rate[k] = 1.0
                if float(layer["t"]) != 0:
                    network.rate[k + 1] = 1.0
            other = held[layer["plus"]] if layer["plus"] else None
            z = _layer(layer["what"], held[layer["source"]], other, weight, bias)
            if layer["k"] is not None:
                network.seen.append(z.detach())
            held[layer["number"]] = ACTIVATIONS[layer["phi"] or ""](z)
        return held[layer["number"]].flatten(1)

    return Network(function, file[f"snapshots/{step}"], image)
