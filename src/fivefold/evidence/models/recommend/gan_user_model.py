"""Evidence for the user model as a game: choices, states, displays, sessions, planted tastes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest

from ._user_model import HOW, histories, layer, tastes, tower


def elu(a: np.ndarray) -> np.ndarray:
    return np.where(a > 0, a, np.expm1(np.minimum(a, 0)))


def simplex_best(value: Any, size: int) -> np.ndarray:
    """Return the distribution (size,) of the largest ``value``, by sequential quadratic programming."""
    from scipy import optimize

    found = optimize.minimize(
        lambda p: -value(p),
        np.full(size, 1 / size),
        method="SLSQP",
        bounds=[(1e-12, 1)] * size,
        constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
        options={"ftol": 1e-14, "maxiter": 300},
    )
    return np.asarray(found.x)


@evidence(
    "gan-user-model",
    claim="The choice that starts the game is the optimum of reward plus entropy: softmax of eta r, with nothing worth 0",
    against="scipy.optimize SLSQP over the simplex; the maximum is logsumexp(eta r) / eta",
)
def softmax_choice() -> Check:
    import torch
    from scipy.special import logsumexp

    from fivefold.models.recommend._user_model import UserLearner, expected_utility

    users = UserLearner(tower(), tower(seed=1), 1.7, "entropy")
    past, shown = histories(4, 4, 9), np.array([[0, 3, 7], [2, 8, 9], [5, 1, 6], [4, 9, 9]])
    users.play()
    args = torch.from_numpy(past), torch.from_numpy(shown)
    r, phi = users.rewards(*args).detach().numpy(), users.chances(*args).detach().numpy()
    reached = expected_utility(torch.from_numpy(r), torch.from_numpy(phi), 1.7, "entropy").numpy()
    # Item 9 is no item: never chosen. Choosing nothing comes last and has no reward.
    worst = largest(np.abs(phi[:, :3][shown == 9]).max(), np.abs(r[:, 3]).max(), np.abs(phi.sum(1) - 1).max())
    for i in range(4):
        there = np.isfinite(r[i])
        gain = lambda p, a=r[i][there]: p @ a - p @ np.log(p) / 1.7  # noqa: E731
        best = simplex_best(gain, int(there.sum()))
        worst = largest(worst, 1e-2 * np.abs(phi[i][there] - best).max())  # the flat top: the program finds 6 digits
        worst = largest(worst, np.abs(reached[i] - logsumexp(1.7 * r[i][there]) / 1.7))
    return Check(worst, 1e-7, "largest difference", "scipy")


@evidence(
    "gan-user-model",
    claim="With the squared norm the behavior's best answer is the projection of eta r / 2 on the simplex",
    against="its closed form by sorting; the objective's maximum is found by scipy.optimize SLSQP",
)
def squared_choice() -> Check:
    import torch

    from fivefold.models.recommend._user_model import expected_utility

    r = torch.tensor([[0.3, 0.9, -2.0, 0.0], [1.5, 0.2, 0.1, 0.0]]).double()
    eta = 1.3
    a = eta * r.numpy() / 2
    order = -np.sort(-a, axis=1)
    sums = (np.cumsum(order, axis=1) - 1) / np.arange(1, 5)
    last = (order > sums).sum(axis=1) - 1
    best = np.maximum(a - sums[[0, 1], last][:, None], 0)
    worst = 0.0
    for i in range(2):
        gain = lambda p, a=r[i : i + 1]: expected_utility(a, torch.from_numpy(p)[None], eta, "l2").item()  # noqa: E731
        worst = largest(worst, np.abs(simplex_best(gain, 4) - best[i]).max())
        value = best[i] @ r[i].numpy() - best[i] @ best[i] / eta
        worst = largest(worst, 1e4 * abs(gain(best[i]) - value))
    return Check(worst, 1e-5, "largest difference", "the closed form")


@evidence(
    "gan-user-model",
    claim="Likelihood of eta r first; then, in the game, the behavior is at rest and the reward has the gradient of likelihood",
    against="cross-entropy written out, and its gradient divided by eta; rows count by their weights",
)
def steps_of_the_game() -> Check:
    import torch

    from fivefold.data.batches import Batch, Place
    from fivefold.models.recommend._user_model import UserLearner

    users = UserLearner(tower(), tower(seed=1), 1.7, "entropy")
    weight = torch.tensor([1.0, 2.0, 0.5, 1.5]).double()
    shown, chosen = torch.tensor([[0, 3, 7], [2, 8, 9], [5, 1, 6], [4, 0, 2]]), torch.tensor([0, 3, 1, 2])
    batch = Batch(
        {
            "history": torch.from_numpy(histories(4, 4, 9)),
            "shown": shown,
            "chosen": chosen,
            "weight": weight,
        },
        Place(0, 0, 0, 4, 0),
    )
    r = users.rewards(batch.history, shown)
    loss = (weight / 5) @ (torch.logsumexp(1.7 * r, 1) - 1.7 * r[torch.arange(4), chosen])
    mine = list(users.reward.parameters())
    expected = torch.autograd.grad(loss, mine, allow_unused=True)
    first = list(users.steps(batch))
    wrong = float([s.part for s in first] != ["reward"])
    wrong = largest(wrong, abs(first[0].loss.item() - loss.item()))
    users.play()
    wrong = largest(wrong, float(users.playing is not True))
    behavior, reward = users.steps(batch)
    wrong = largest(wrong, float([behavior.part, reward.part] != ["behavior", "reward"]))
    rest = torch.autograd.grad(behavior.loss, list(users.behavior.parameters()), allow_unused=True)
    pulls = torch.autograd.grad(reward.loss, mine, allow_unused=True)
    wrong = largest(wrong, *[float(g.abs().max()) for g in rest if g is not None])
    wrong = largest(wrong, *[float((g - e / 1.7).abs().max()) for g, e in zip(pulls, expected) if e is not None])
    # The game's value for the behavior: the expected reward plus entropy / eta, of the present behavior.
    users.behavior = tower(seed=3)
    phi = users.chances(batch.history, shown).detach().numpy()
    finite = np.where(np.isfinite(r.detach().numpy()), r.detach().numpy(), 0)
    entropy = -(phi * np.log(np.where(phi > 0, phi, 1))).sum(1)
    gain = (phi * finite).sum(1) + entropy / 1.7
    behavior, reward = users.steps(batch)
    wrong = largest(wrong, abs(behavior.loss.item() + (weight.numpy() / 5) @ gain))
    game = (phi * finite).sum(1) - finite[np.arange(4), chosen.numpy()]
    wrong = largest(wrong, abs(reward.loss.item() - (weight.numpy() / 5) @ game))
    return Check(wrong, 1e-12, "largest difference", "the formulas")


@evidence(
    "gan-user-model",
    claim="States are vec ELU(F W + B), or an LSTM's last vector over the choices there are; scores are v ELU(V [s; f] + b)",
    against="numpy: the concatenated [s; f], and the gates written out, step by step over each history alone",
)
def states_and_scores() -> Check:
    import torch

    worst = 0.0
    past, items = histories(6, 4, 9, seed=2), np.array([[0, 5], [8, 9], [3, 3], [1, 2], [6, 7], [4, 0]])
    for state in ("position-weight", "lstm"):
        made = tower(state=state, seed=4)
        f = made.features.weight.detach().numpy()
        if state == "lstm":
            lstm = made.state.lstm
            wi, wh = lstm.weight_ih_l0.detach().numpy(), lstm.weight_hh_l0.detach().numpy()
            shift = (lstm.bias_ih_l0 + lstm.bias_hh_l0).detach().numpy()
            states = []
            for row in past:
                h, c = np.zeros(6), np.zeros(6)
                for item in row[row < 9]:
                    i, forget, g, o = np.split(wi @ f[item] + wh @ h + shift, 4)
                    gate = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731
                    c = gate(forget) * c + gate(i) * np.tanh(g)
                    h = gate(o) * np.tanh(c)
                states.append(h)
        else:
            w, b = made.state.weight.detach().numpy(), made.state.bias.detach().numpy()
            states = [elu(f[row].T @ w + b).ravel() for row in past]
        found = made.states(torch.from_numpy(past)).detach().numpy()
        worst = largest(worst, np.abs(found - np.array(states)).max(), float(np.abs(f[9]).max()))
        (of_state, shift), (of_item, _), (out, last) = layer(made.of_state), layer(made.of_item), layer(made.out)
        v = np.concatenate([of_state, of_item], axis=1)
        both = np.concatenate([np.repeat(np.array(states)[:, None], 2, 1), f[items]], axis=2)  # (6, 2, s + d)
        expected = elu(both @ v.T + shift) @ out[0] + last
        scores = made(torch.from_numpy(past), torch.from_numpy(items)).detach().numpy()
        worst = largest(worst, np.abs(scores - expected).max())
    return Check(worst, 1e-12, "largest difference", "numpy")


@evidence(
    "gan-user-model",
    claim="Displays hold the item of the log and different others that the user never met, histories the choices before",
    against="lists kept row by row; each other item equally often (4.5 deviations)",
)
def displays() -> Check:
    from fivefold.models.recommend._displays import displays_of

    draw = np.random.default_rng(0)
    counts = np.array([0, 7, 400, 60])
    bounds = np.concatenate([[0], np.cumsum(counts)])
    users = np.repeat(np.arange(4), counts)
    items, liked = draw.integers(12, size=len(users)), draw.random(len(users)) < 0.6
    items[users == 3] = items[users == 3] % 10  # this user never met 10 and 11
    items[users == 2] = items[users == 2] % 5
    log = displays_of(users, items, liked, bounds, 12, 4, 3, np.random.default_rng(1))
    lists: list[list[int]] = [[12] * 3 for _ in range(4)]
    wrong = 0
    for row, (user, item) in enumerate(zip(users, items)):
        met = set(items[users == user].tolist())
        rest = [i for i in log.items[row, 1:].tolist() if i != 12]
        room = min(3, 12 - len(met))
        wrong += log.history[row].tolist() != lists[user][-3:]
        wrong += log.items[row, 0] != item or bool(set(rest) & met) or len(set(rest)) != len(rest) or len(rest) != room
        wrong += int(log.chosen[row]) != (0 if liked[row] else 4)
        lists[user] += [item] if liked[row] else []
    wrong += log.last.tolist() != [kept[-3:] for kept in lists]
    shown = np.bincount(log.items[users == 2, 1:].ravel(), minlength=13)[5:12] / 400
    wrong += int((~(np.abs(shown - 3 / 7) <= 4.5 * np.sqrt(3 / 7 * 4 / 7 / 400))).sum())
    return Check(wrong, 0, "rows that break the rule", "lists")


@evidence(
    "gan-user-model",
    claim="In a session users choose by their chances, which also give the mean reward; only a choice lengthens their history",
    against="the cumulated chances at numbers between them; the histories shifted by hand",
)
def sessions() -> Check:
    import torch

    from fivefold.models.recommend._cascade import Sessions
    from fivefold.models.recommend._user_model import UserLearner

    users = UserLearner(tower(), tower(seed=1), 1.3, "entropy")
    past, slate = histories(1, 4, 9, 3)[0], np.array([2, 9, 6])  # item 9 is none
    past[:] = [9, 9, 4, 7]
    one = torch.from_numpy(past)[None], torch.from_numpy(slate)[None]
    chances, rewards = (f(*one)[0].detach().numpy() for f in (users.chances, users.rewards))
    edges = np.cumsum(chances)
    luck = np.concatenate([[0.0], edges[:-1] - 1e-9, edges[:-1] + 1e-9, [1 - 1e-9]])
    places = np.searchsorted(edges, luck, side="left")
    shown = Sessions(users, torch.from_numpy(np.tile(past, (len(luck), 1))))
    reward, expected, chosen = shown.show(torch.from_numpy(np.tile(slate, (len(luck), 1))), torch.from_numpy(luck))
    wrong = int((~(np.abs(reward.numpy() - rewards[places]) <= 1e-12)).sum())
    mean = chances[[0, 2]] @ rewards[[0, 2]]
    wrong += int((~(np.abs(expected.numpy() - mean) <= 1e-12)).sum())
    wrong += int((chosen.numpy() != np.append(slate, 9)[places]).sum()) + int(set(places) != {0, 2, 3})
    after = [past if p == 3 else np.append(past[1:], slate[p]) for p in places]
    wrong += int((shown.history.numpy() != np.array(after)).sum())
    return Check(wrong, 0, "sessions that differ", "the cumulated chances")


@evidence(
    "gan-user-model",
    claim="The game with either norm learns what users like: rewards of the own half of the items far above the other's",
    against="planted tastes of two kinds of users; a new user by the history alone",
)
def planted_tastes() -> Check:
    from fivefold.models.recommend import GANUserModel

    frame, wrong = tastes(), 0
    for name, state in (("entropy", "lstm"), ("l2", "position-weight")):
        how = {"policy_steps": 0, "batch_size": 64, "learning_rate": 0.02, "init_epochs": 10, "adversarial_epochs": 2}
        model = GANUserModel(**HOW, **how, state=state, regularizer=name).fit(frame)
        r = model.rewards(model.windows_)
        own = (np.arange(150)[:, None] + np.arange(12)) % 2 == 0
        kept = (model.windows_ < 12).all(axis=1)
        # Planted: liked 0.85 of the times against 0.1, whose log odds lie 3.9 apart.
        gap = r[kept][own[kept]].reshape(-1, 6).mean(axis=1) - r[kept][~own[kept]].reshape(-1, 6).mean(axis=1)
        wrong += int(not gap.mean() >= 1.95) + int(not (gap > 0).mean() >= 0.9)
        told = {"user": [900] * 4, "item": [1, 3, 5, 0], "rating": [5.0, 4.0, 5.0, 3.9], "time": [3, 2, 4, 9]}
        wrong += int(not (model._past(told).items == [3, 1, 5, 0]).all())  # type: ignore[union-attr]
        history = model._histories(np.array([0, 4]), np.array([3, 1, 5, 0]), np.array([4.0, 5.0, 5.0, 3.9]))
        new = model.rewards(history)[0]
        wrong += int(history.tolist() != [[3, 1, 5]]) + int(not new[1::2].mean() - new[::2].mean() >= 1)
        found = model.predict({"user": [7, 7, 900], "item": [2, 999, 2]})
        empty = model.rewards(np.full((1, 3), 12))[0, 2]
        wrong += int(not np.abs(found - [r[7, 2], 0.0, empty]).max() <= 1e-5)
    return Check(wrong, 0, "conditions not met", "the planted tastes")
