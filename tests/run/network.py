"""The networks of ntklens in float64 numpy, written from their definition and nothing else:

h_0 = x; z_l = s_l W_l h_{l-1} + t_l b_l; h_l = phi(z_l); f = z_L, with the parametrisations
standard, ntk (Jacot et al. 2018) and mup (Yang & Hu 2021; r = width / base_width).
"""

import math

import numpy as np

_erf = np.vectorize(math.erf, otypes=[float])


def _normal_cdf(z):
    return 0.5 * (1 + _erf(z / math.sqrt(2)))


# phi and phi'
ACTIVATIONS = {
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "erf": (_erf, lambda z: 2 / math.sqrt(math.pi) * np.exp(-(z**2))),
    "gelu": (
        lambda z: z * _normal_cdf(z),
        lambda z: _normal_cdf(z) + z * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi),
    ),
}


class Network:
    """One cell's network at one step.

    keys: attributes of cells/<id>.h5; snapshot: its group /snapshots/<step>.
    weights[l] [fan_out x fan_in], biases[l] [fan_out]; rates: eta_l / eta of weights and biases.
    """

    def __init__(self, keys, snapshot):
        self.layers = int(keys["depth"]) + 1
        self.weights = [np.float64(snapshot[f"weight{l}"][()]) for l in range(self.layers)]
        self.biases = [np.float64(snapshot[f"bias{l}"][()]) for l in range(self.layers)]
        self.phi, self.slope = ACTIVATIONS[keys["activation"]]
        self.s = np.ones(self.layers)
        self.t = np.ones(self.layers)
        self.weight_rate = np.ones(self.layers)
        self.bias_rate = np.ones(self.layers)
        if keys["parametrization"] == "ntk":
            for l, weight in enumerate(self.weights):
                self.s[l] = math.sqrt(keys["weight_variance"] / weight.shape[1])
                self.t[l] = math.sqrt(keys["bias_variance"])
        elif keys["parametrization"] == "mup":
            self._set_mup(keys["width"] / keys["base_width"], keys["optimizer"])

    def _set_mup(self, r, optimizer):
        last = self.layers - 1
        self.s[last] = 1 / r
        for l in range(self.layers):
            hidden = 0 < l < last
            if optimizer == "adam":
                self.weight_rate[l] = 1 / r if hidden else 1
            else:
                self.weight_rate[l] = 1 if hidden else r
                self.bias_rate[l] = r if l < last else 1

    def forward(self, x):
        """h_0 .. h_{L-1}, and z_1 .. z_L, the last of which is f [samples x outputs]."""
        h, z = [np.float64(x)], []
        for l in range(self.layers):
            z.append(self.s[l] * h[l] @ self.weights[l].T + self.t[l] * self.biases[l])
            if l < self.layers - 1:
                h.append(self.phi(z[l]))
        return h, z

    def outputs(self, x):
        return self.forward(x)[1][-1]

    def back_signals(self, z, output_signal):
        """d (sum of output_signal o f) / d z_l for every layer, by the chain rule."""
        delta = [None] * self.layers
        delta[-1] = output_signal
        for l in range(self.layers - 1, 0, -1):
            delta[l - 1] = self.s[l] * (delta[l] @ self.weights[l]) * self.slope(z[l - 1])
        return delta

    def gradients(self, x, output_signal):
        """Of sum(output_signal o f): one array per layer for weights, one for biases."""
        h, z = self.forward(x)
        delta = self.back_signals(z, output_signal(z[-1]))
        layers = range(self.layers)
        return (
            [self.s[l] * delta[l].T @ h[l] for l in layers],
            [self.t[l] * delta[l].sum(axis=0) for l in layers],
        )

    def jacobian(self, x):
        """d f_a(x_i) / d parameters [samples x outputs x parameters], layer by layer: weights, biases."""
        h, z = self.forward(x)
        samples, outputs = z[-1].shape
        rows = []
        for a in range(outputs):
            signal = np.zeros((samples, outputs))
            signal[:, a] = 1
            parts = []
            for l, delta in enumerate(self.back_signals(z, signal)):
                outer = delta[:, :, None] * h[l][:, None, :]
                parts += [self.s[l] * outer.reshape(samples, -1), self.t[l] * delta]
            rows.append(np.concatenate(parts, axis=1))
        return np.stack(rows, axis=1)

    def rates(self):
        """eta_l / eta of every column of the Jacobian."""
        parts = []
        for l in range(self.layers):
            parts.append(np.full(self.weights[l].size, self.weight_rate[l]))
            parts.append(np.full(self.biases[l].size, self.bias_rate[l]))
        return np.concatenate(parts)


def loss(name, outputs, labels):
    """Mean loss, and its derivative by the outputs."""
    samples, classes = outputs.shape
    onehot = np.eye(classes)[labels]
    if name == "mse":
        return np.mean((outputs - onehot) ** 2), 2 * (outputs - onehot) / outputs.size
    shifted = outputs - outputs.max(axis=1, keepdims=True)
    total = np.exp(shifted).sum(axis=1, keepdims=True)
    value = np.mean(np.log(total[:, 0]) - shifted[np.arange(samples), labels])
    return value, (np.exp(shifted) / total - onehot) / samples


def observables(eigenvalues):
    """The spectral columns of results.csv."""
    lam = np.sort(eigenvalues)[::-1]
    p = lam[lam > 0] / lam[lam > 0].sum()
    entropy = -np.sum(p * np.log(p))
    return {
        "trace": lam.mean(),
        "entropy": entropy,
        "effective_rank": math.exp(entropy),
        "participation_ratio": 1 / np.sum(p**2),
        "lambda_max": lam[0],
        "lambda_min": lam[-1],
    }
