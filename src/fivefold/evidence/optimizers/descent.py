"""Evidence for gradient descent, Nesterov's method and the accumulators of squared gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest
from fivefold.optimizers.gradient.accumulators import FTRL, Adadelta, Adagrad, RMSprop
from fivefold.optimizers.gradient.descent import SGD, GradientDescent, Nesterov

from ._trajectories import listed_equals_fused, replayed, same, sparse_rows, walk

PLAIN = {"lr": 0.05, "weight_decay": 0.1}


def _descend(make: Any, curve: np.ndarray, x0: np.ndarray, steps: int, momentum: Any = None) -> np.ndarray:
    x = torch.tensor(x0, requires_grad=True)
    scale, optimizer, path = torch.tensor(curve), make([x]), []
    for t in range(steps):
        if momentum is not None:
            optimizer.param_groups[0]["momentum"] = momentum(t)

        def closure() -> Any:
            optimizer.zero_grad()
            value = 0.5 * (scale * x * x).sum()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimizer.step(closure)
        path.append(x.detach().numpy().copy())
    return np.array(path)


@evidence("gradient-descent", claim="On a quadratic x_t = (1 - lr c)^t x_0", against="closed form")
def descent_closed_form() -> Check:
    curve, x0 = np.array([0.2, 1.0, 3.0]), np.array([2.0, -1.0, 0.5])
    path = _descend(lambda p: GradientDescent(p, lr=0.3), curve, x0, 40)
    expected = np.array([(1 - 0.3 * curve) ** t * x0 for t in range(1, 41)])
    return Check(float(np.abs(path - expected).max()), 1e-13, "max |x - closed form|", "closed form")


@evidence(
    "gradient-descent",
    claim="It converges for a rate below 2 / c and diverges above",
    against="the theory of the quadratic",
)
def descent_threshold() -> Check:
    ends = [
        abs(_descend(lambda p, r=r: GradientDescent(p, lr=r / 4), np.array([4.0]), np.ones(1), 200)[-1, 0])
        for r in (1.9, 1.0, 2.1)
    ]
    wrong = int(not ends[0] <= 1e-8) + int(not ends[1] <= 1e-15) + int(not ends[2] >= 1e8)
    return Check(wrong, 0, "violations", "|1 - lr c|^200")


@evidence("gradient-descent", claim="Groups, decay of both forms and defaults equal torch's", against="torch.optim.SGD")
def descent_equals_torch() -> Check:
    return same(GradientDescent, torch.optim.SGD, {}, PLAIN, {"lr": 0.05, "weight_decay": 1.0})


@evidence(
    "gradient-descent", claim="The noise has variance noise / t^0.55 and resumes", against="moments of 20,000 draws"
)
def descent_noise() -> Check:
    x = torch.zeros(20_000, dtype=torch.float64, requires_grad=True)
    optimizer, scores = GradientDescent([x], lr=0.5, noise=0.4), []
    for t in range(1, 4):
        before = x.detach().clone()
        x.grad = torch.ones_like(x)
        optimizer.step()
        z = ((before - x.detach()) / 0.5 - 1) / math.sqrt(0.4 / t**0.55)
        scores += [abs(float(z.mean())) * math.sqrt(20_000), abs(float((z * z).mean()) - 1) * math.sqrt(10_000)]
    resumed = float(
        np.abs(
            walk(lambda p: GradientDescent(p, lr=0.01, noise=0.1), "quadratic", {}, 40)
            - walk(lambda p: GradientDescent(p, lr=0.01, noise=0.1), "quadratic", {}, 40, False)
        ).max()
    )
    return Check(largest(scores) + 1e9 * resumed, 4.5, "standard errors", "normal distribution")


@evidence(
    "gradient-descent",
    claim="The noise follows from the seed, the parameter's group and place, and the step, and is added to the gradient",
    against="the stream of that name",
)
def descent_noise_stream() -> Check:
    params = [torch.zeros(4, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    groups = [{"params": params[:1]}, {"params": params[1:], "lr": 0.25}]
    optimizer, gap = GradientDescent(groups, lr=0.5, noise=0.3, random_state=5), 0.0
    expected = [np.zeros(4) for _ in params]
    for t in (1, 2):
        for p in params:
            p.grad = torch.full_like(p, 2.0)
        optimizer.step()
        for k, (group, place, lr) in enumerate(((0, 0, 0.5), (1, 0, 0.25), (1, 1, 0.25))):
            draw = Streams(5).numpy("noise", group, place, t).standard_normal(4)
            expected[k] = expected[k] - lr * (2.0 + math.sqrt(0.3 / t**0.55) * draw)
            gap = largest(gap, float(np.abs(params[k].detach().numpy() - expected[k]).max()))
    return Check(gap, 1e-14, "max |parameter difference|", "the stream")


@evidence("sgd", claim="500 steps equal torch's, with groups and weight decay", against="torch.optim.SGD")
def sgd_equals_torch() -> Check:
    return same(SGD, lambda p: torch.optim.SGD(p, foreach=True), {}, PLAIN)


@evidence("sgd", claim="The mean of all one-example steps is the full-gradient step", against="the identity E g_i = g")
def sgd_unbiased() -> Check:
    rng = np.random.default_rng(0)
    x, y, w = torch.tensor(rng.normal(size=(30, 4))), torch.tensor(rng.normal(size=30)), rng.normal(size=4)

    def step(rows: slice) -> np.ndarray:
        p = torch.tensor(w, requires_grad=True)
        ((x[rows] @ p - y[rows]) ** 2).mean().backward()
        SGD([p], lr=0.1).step()
        return p.detach().numpy() - w  # type: ignore[no-any-return]

    single = np.mean([step(slice(i, i + 1)) for i in range(30)], axis=0)
    return Check(float(np.abs(single - step(slice(None))).max()), 1e-14, "max |difference|", "identity")


@evidence("sgd", claim="Sparse gradients step the rows they name as dense ones do", against="dense gradients")
def sgd_sparse() -> Check:
    return sparse_rows(SGD, {"lr": 0.1})


@evidence("sgd", claim="Decoupled decay shrinks by 1 - lr wd; maximize climbs", against="formula")
def sgd_decoupled() -> Check:
    x = torch.full((1,), 2.0, dtype=torch.float64, requires_grad=True)
    optimizer = SGD([x], lr=0.1, weight_decay=0.5, decoupled_weight_decay=True, maximize=True)
    x.grad = torch.full((1,), 3.0, dtype=torch.float64)
    optimizer.step()
    return Check(abs(float(x.detach()) - (2 * 0.95 + 0.3)), 1e-15, "|difference|", "formula")


@evidence(
    "nesterov",
    claim="500 steps equal torch's, with defaults and with every option",
    against="torch.optim.SGD(nesterov=True)",
)
def nesterov_equals_torch() -> Check:
    return same(
        lambda p: Nesterov(p, lr=1e-3, momentum=0.9),
        lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9, nesterov=True),
        {},
        {**PLAIN, "momentum": 0.7},
    )


@evidence(
    "nesterov",
    claim="The paper's form takes its gradient at the look-ahead point",
    against="the recurrence of 01#nesterov",
)
def nesterov_paper() -> Check:
    curve, x0 = np.array([0.2, 3.0]), np.array([2.0, -1.0])
    path = _descend(lambda p: Nesterov(p, lr=0.2, momentum=0.8, convention="paper"), curve, x0, 50)
    x, v, gap = x0.copy(), np.zeros(2), 0.0
    for found in path:
        v = 0.8 * v - 0.2 * curve * (x + 0.8 * v)
        x = x + v
        gap = largest(gap, float(np.abs(found - x).max()))
    return Check(gap, 1e-13, "max |x difference|", "recurrence")


@evidence(
    "nesterov",
    claim="Torch's and Keras' paths are the paper's seen from its look-ahead points",
    against="the identity of Sutskever 2013",
)
def nesterov_forms() -> Check:
    curve, x0 = np.array([0.2, 3.0]), np.array([2.0, -1.0])
    paths = {
        c: _descend(lambda p, c=c: Nesterov(p, lr=0.2, momentum=0.8, convention=c), curve, x0, 50)
        for c in ("torch", "keras", "paper")
    }
    velocity = np.diff(paths["paper"], axis=0)
    ahead = paths["paper"][1:] + 0.8 * velocity
    gap = largest(float(np.abs(paths[c][1:] - ahead).max()) for c in ("torch", "keras"))
    return Check(gap, 1e-12, "max |difference|", "identity")


@evidence(
    "nesterov", claim="When the rate changes Keras' velocity keeps the old steps", against="the recurrence in NumPy"
)
def nesterov_keras() -> Check:
    x = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimizer, place, v, gap = Nesterov([x], momentum=0.6, convention="keras"), 1.0, 0.0, 0.0
    for t in range(30):
        lr = 0.3 / (1 + t % 5)
        optimizer.param_groups[0]["lr"] = lr
        x.grad = x.detach() * 0.7
        optimizer.step()
        g = 0.7 * place
        v = 0.6 * v - lr * g
        place = place + 0.6 * v - lr * g
        gap = largest(gap, abs(float(x.detach()) - place))
    return Check(gap, 1e-14, "max |x difference|", "recurrence")


@evidence(
    "nesterov",
    claim="With momentum (t-1)/(t+2) and rate 1/L: f <= 2 L |x0|^2 / (t+1)^2, where descent is far above",
    against="Nesterov's bound",
)
def nesterov_rate() -> Check:
    curve = 1.0 / np.arange(1, 61) ** 2.5
    x0 = np.ones(60)
    path = _descend(lambda p: Nesterov(p, lr=1.0), curve, x0, 200, momentum=lambda t: t / (t + 3))
    x = path  # gradient points of the method; f there obeys the bound up to the next step
    steps = np.arange(1, 201)
    stepped = x * (1 - curve)
    values = 0.5 * (curve * stepped**2).sum(axis=1)
    return Check(float((values * (steps + 2) ** 2 / (2 * (x0**2).sum())).max()), 1.0, "f over its bound", "theorem")


@evidence(
    "adagrad", claim="500 steps equal torch's, with defaults and with every option", against="torch.optim.Adagrad"
)
def adagrad_equals_torch() -> Check:
    def make(kind: Any) -> Any:
        return lambda p: kind(p, initial_accumulator_value=0.1)  # torch reads it from the constructor, not from groups

    plain = same(Adagrad, torch.optim.Adagrad, {})
    full = {"lr": 0.3, "lr_decay": 0.01, "weight_decay": 0.1, "eps": 1e-3}
    return Check(
        largest(plain.value, same(make(Adagrad), make(torch.optim.Adagrad), full).value), 1e-9, plain.unit, plain.peer
    )


@evidence("adagrad", claim="Keras has epsilon inside the root", against="the recurrence in NumPy")
def adagrad_keras() -> Check:
    def rule(s: Any, x: np.ndarray, g: np.ndarray, t: int, group: Any) -> np.ndarray:
        s["n"] = s.get("n", 0.1) + g * g
        return x - group["lr"] * g / np.sqrt(s["n"] + group["eps"])

    options = {"lr": 0.05, "eps": 0.05, "weight_decay": 0.1, "initial_accumulator_value": 0.1}
    return same(lambda p: Adagrad(p, convention="keras"), rule, options, rule=True)


@evidence(
    "adagrad",
    claim="Constant g: step t is lr / root t; a coordinate seen every 10th time steps root 10 as far",
    against="closed form of 05#adagrad",
)
def adagrad_rare() -> Check:
    x = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer, gap = Adagrad([x], lr=0.5), 0.0
    for t in range(1, 101):
        before = x.detach().clone()
        x.grad = torch.tensor([2.0, 7.0 if t % 10 == 0 else 0.0], dtype=torch.float64)
        optimizer.step()
        step = (before - x.detach()).numpy()
        gap = largest(
            gap, abs(step[0] - 0.5 / math.sqrt(t)), abs(step[1] - (0.5 / math.sqrt(t / 10) if t % 10 == 0 else 0))
        )
    return Check(gap, 1e-9, "max |step - closed form|", "closed form")


@evidence("adagrad", claim="Sparse gradients equal dense ones", against="dense gradients")
def adagrad_sparse() -> Check:
    return sparse_rows(Adagrad, {"lr": 0.2})


@evidence("rmsprop", claim="500 steps equal torch's: momentum, centered, decay", against="torch.optim.RMSprop")
def rmsprop_equals_torch() -> Check:
    full = {"lr": 0.01, "alpha": 0.9, "eps": 0.1, "weight_decay": 0.1}
    return same(RMSprop, torch.optim.RMSprop, {**full, "momentum": 0.5}, {**full, "centered": True})


@evidence("rmsprop", claim="The defaults step as torch's along 500 given gradients", against="torch.optim.RMSprop")
def rmsprop_defaults() -> Check:
    return replayed(RMSprop, torch.optim.RMSprop, {})


@evidence(
    "rmsprop",
    claim="Keras and the paper have epsilon inside the root; 05 starts from g^2",
    against="the recurrence in NumPy",
)
def rmsprop_inside() -> Check:
    def rule(s: Any, x: np.ndarray, g: np.ndarray, t: int, group: Any) -> np.ndarray:
        s["v"] = 0.9 * s["v"] + 0.1 * g * g if t > 1 else g * g
        return x - group["lr"] * g / np.sqrt(s["v"] + group["eps"])

    def zero(s: Any, x: np.ndarray, g: np.ndarray, t: int, group: Any) -> np.ndarray:
        s["v"] = 0.9 * s.get("v", 0.0) + 0.1 * g * g
        return x - group["lr"] * g / np.sqrt(s["v"] + group["eps"])

    options = {"lr": 0.01, "alpha": 0.9, "eps": 0.05, "weight_decay": 0.1}
    started = same(lambda p: RMSprop(p, convention="paper", initial="gradient"), rule, options, rule=True, steps=150)
    zeroed = same(lambda p: RMSprop(p, convention="keras"), zero, options, rule=True, steps=150)
    return Check(largest(started.value, zeroed.value), 1e-9, zeroed.unit, zeroed.peer)


@evidence("rmsprop", claim="Its state has torch's names, with every option and without", against="torch.optim.RMSprop")
def rmsprop_state() -> Check:
    wrong = 0
    for options in ({}, {"momentum": 0.5}, {"centered": True}):
        p = torch.ones(2, dtype=torch.float64, requires_grad=True)
        p.grad = torch.ones_like(p)
        optimizers: list[Any] = [RMSprop([p], **options), torch.optim.RMSprop([p], **options)]  # type: ignore[arg-type]
        for optimizer in optimizers:
            optimizer.step()
        wrong += set(optimizers[0].state[p]) != set(optimizers[1].state[p])
    return Check(wrong, 0, "states with other names", "torch.optim.RMSprop")


@evidence("rmsprop", claim="s_t = (1 - a) sum a^k g_{t-k}^2", against="the sum of 08#nag-b")
def rmsprop_sum() -> Check:
    g = np.random.default_rng(2).normal(size=30)
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = RMSprop([x])
    for value in g:
        x.grad = torch.full((1,), value, dtype=torch.float64)
        optimizer.step()
    expected = sum(0.01 * 0.99**k * g[29 - k] ** 2 for k in range(30))
    return Check(abs(float(optimizer.state[x]["square_avg"]) - expected), 1e-15, "|difference|", "brute force")


@evidence("adadelta", claim="500 steps equal torch's with every option", against="torch.optim.Adadelta")
def adadelta_equals_torch() -> Check:
    return same(Adadelta, torch.optim.Adadelta, {"lr": 0.1, "rho": 0.95, "eps": 0.1, "weight_decay": 0.1})


@evidence("adadelta", claim="The defaults step as torch's along 500 given gradients", against="torch.optim.Adadelta")
def adadelta_defaults() -> Check:
    return replayed(Adadelta, torch.optim.Adadelta, {})


@evidence(
    "adadelta", claim="The first step is root(eps) / root((1 - rho) g^2 + eps) g", against="closed form of 01#adadelta"
)
def adadelta_first() -> Check:
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    x.grad = torch.full((1,), 3.0, dtype=torch.float64)
    Adadelta([x]).step()
    return Check(abs(float(x.detach()) + 3 * math.sqrt(1e-6 / (0.1 * 9 + 1e-6))), 1e-15, "|difference|", "closed form")


@evidence(
    "ftrl",
    claim="500 steps equal the paper's closed form, from 0, with penalties",
    against="McMahan et al., algorithm 1, in NumPy",
)
def ftrl_paper() -> Check:
    g = np.random.default_rng(1).normal(size=(500, 6)) * np.array([1, 0.3, 0.1, 1, 1, 0.01])
    x = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    optimizer = FTRL([x], lr=0.2, beta=0.7, l1=1.5, l2=0.4)
    z, n, w, gap, zeros = np.zeros(6), np.zeros(6), np.zeros(6), 0.0, 0
    for t in range(500):
        if t == 250:
            state = optimizer.state_dict()
            optimizer = FTRL([x])
            optimizer.load_state_dict(state)
        grad = g[t] + 0.2 * w - 0.05
        x.grad = torch.tensor(grad)
        optimizer.step()
        sigma = (np.sqrt(n + grad**2) - np.sqrt(n)) / 0.2
        z, n = z + grad - sigma * w, n + grad**2
        w = np.where(np.abs(z) <= 1.5, 0.0, -(z - np.sign(z) * 1.5) / ((0.7 + np.sqrt(n)) / 0.2 + 0.4))
        gap = largest(gap, float(np.abs(x.detach().numpy() - w).max()))
        zeros += int(((w == 0) & (x.detach().numpy() == 0)).sum())
    return Check(gap + (zeros == 0), 1e-12, "max |w difference|", "NumPy")


@evidence(
    "ftrl",
    claim="Without penalties it is gradient descent at lr / (beta + root n), from any weights",
    against="the recurrence in NumPy",
)
def ftrl_is_adagrad() -> Check:
    def rule(s: Any, x: np.ndarray, g: np.ndarray, t: int, group: Any) -> np.ndarray:
        s["n"] = s.get("n", 0.0) + g * g
        return x - group.get("lr", 0.1) / (group.get("beta", 1.0) + np.sqrt(s["n"])) * g

    return same(FTRL, rule, {}, {"lr": 0.4, "beta": 0.5}, rule=True)


@evidence(
    "ftrl",
    claim="Keras' trace: z from 0, n from 0.1, l2 counted twice",
    against="the recurrence Keras documents, in NumPy",
)
def ftrl_keras() -> Check:
    def rule(s: Any, x: np.ndarray, g: np.ndarray, t: int, group: Any) -> np.ndarray:
        lr, n = group["lr"], s.get("n", np.full_like(g, 0.1))
        new = n + g * g
        z = s.get("z", np.zeros_like(g)) + g - (np.sqrt(new) - np.sqrt(n)) / lr * x
        s["n"], s["z"] = new, z
        quadratic = np.sqrt(new) / lr + 2 * (group["l2"] + 0.3 / (2 * lr))
        return (np.clip(z, -group["l1"], group["l1"]) - z) / quadratic  # type: ignore[no-any-return]

    options = {"lr": 0.3, "beta": 0.3, "l1": 0.05, "l2": 0.1, "initial_accumulator_value": 0.1}
    return same(lambda p: FTRL(p, convention="keras"), rule, options, rule=True)


@evidence(
    "ftrl",
    claim="A zero gradient leaves any weights where they are, with penalties, and without any curvature",
    against="the closed form of the first z",
)
def ftrl_start() -> Check:
    start = torch.tensor([1.5, -0.5, 0.0, 3.0], dtype=torch.float64)
    gap = 0.0
    penalties = {"lr": 0.3, "beta": 0.7, "l1": 0.4, "l2": 0.2, "initial_accumulator_value": 0.5}
    flat = {"lr": 0.3, "beta": 0.0, "l1": 0.4}
    for options in (penalties, flat, {**flat, "convention": "keras"}):
        for listed in (False, True):
            # A strided weight takes the form of lists.
            x = torch.stack([start, start]).T[:, 0] if listed else start.clone()
            x = x.requires_grad_()
            x.grad = torch.zeros_like(x)
            optimizer = FTRL([x], **options)  # type: ignore[arg-type]
            optimizer.step()
            gap = largest(gap, float((x.detach() - start).abs().max()))
    return Check(gap, 1e-15, "max |weight - start|", "closed form")


@evidence("ftrl", claim="Sparse gradients equal dense ones", against="dense gradients")
def ftrl_sparse() -> Check:
    return sparse_rows(FTRL, {"lr": 0.3, "l1": 0.1, "l2": 0.2})


@evidence("sgd", claim="The form for other devices steps like the kernel", against="the CPU kernel")
def sgd_listed() -> Check:
    return listed_equals_fused(SGD, PLAIN, {**PLAIN, "decoupled_weight_decay": True, "maximize": True, "lr": 1e-3})


@evidence("nesterov", claim="The form for other devices steps like the kernel", against="the CPU kernel")
def nesterov_listed() -> Check:
    return listed_equals_fused(Nesterov, *({**PLAIN, "convention": c} for c in ("torch", "keras")))


@evidence("adagrad", claim="The form for other devices steps like the kernel", against="the CPU kernel")
def adagrad_listed() -> Check:
    steep = {**PLAIN, "lr_decay": 0.1, "initial_accumulator_value": 0.1, "eps": 0.01}
    return listed_equals_fused(Adagrad, *({**steep, "convention": c} for c in ("torch", "keras")))


@evidence("rmsprop", claim="The form for other devices steps like the kernel", against="the CPU kernel")
def rmsprop_listed() -> Check:
    full = {"lr": 0.01, "alpha": 0.9, "eps": 0.1, "weight_decay": 0.1, "centered": True}
    return listed_equals_fused(
        RMSprop, {**full, "momentum": 0.5, "initial": "gradient"}, {**full, "convention": "keras"}
    )


@evidence("adadelta", claim="The form for other devices steps like the kernel", against="the CPU kernel")
def adadelta_listed() -> Check:
    return listed_equals_fused(Adadelta, {"lr": 0.1, "rho": 0.95, "eps": 0.1, "weight_decay": 0.1})


@evidence("ftrl", claim="The form for other devices steps like the kernel", against="the CPU kernel")
def ftrl_listed() -> Check:
    return listed_equals_fused(
        FTRL,
        {"lr": 0.05, "l1": 0.01, "l2": 0.1, "initial_accumulator_value": 0.1},
        {"lr": 0.05, "l1": 0.01, "l2": 0.1, "convention": "keras"},
    )
