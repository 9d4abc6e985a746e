"""Evidence for DRN: activeness, interleaving, the bandit's step, dueling double Q-learning, exploration compared."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
import polars as pl
import torch

from fivefold.data.batches import Batch, Place
from fivefold.evidence import Check, evidence, fault, largest

HOW: dict[str, Any] = {
    "list_size": 2,
    "n_state": 3,
    "n_offered": 6,
    "factors": 4,
    "hidden_sizes": (16,),
    "rounds": 8,
    "users": 8,
    "horizon": 3,
    "major_every": 2,
    "gradient_steps": 2,
    "batch_size": 16,
}


def _fitted(**more: Any) -> Any:
    from fivefold.models.recommend import DRN

    from ._ratings import ratings

    return DRN(**{**HOW, **more}, random_state=0).fit(ratings(30, 25, 0.5, seed=1))


@evidence(
    "drn-news-recommendation",
    claim="Activeness is the exponential of the integrated hazard between returns and jumps at each, up to 1",
    against="numerical integration of the hazard; the geometric sum of the jumps; the paper's 0.5 -> 0.5 after 24 hours",
)
def activeness() -> Check:
    from scipy.integrate import quad

    from fivefold.models.recommend._survival import UserActiveness

    model = UserActiveness()
    hazard, start, jump = 1.2e-5 * 3600, 0.5, 0.5 * (1 - np.exp(-1.2e-5 * 86400))
    worst = largest(abs(model.jump - jump), abs(float(model.returned(np.array(0.5), np.array(24.0))) - 0.5))
    worst = largest(worst, 0.0 if abs(model.jump - 0.32) < 0.005 else 1.0)
    times = np.array([20.0, 55.0, 61.0, 120.0])
    level, last, wrong = np.array([start]), 0.0, 0
    for number, time in enumerate(times):
        away = time - last
        integral = quad(lambda x: hazard, last, time)[0]
        worst = largest(worst, abs(float(model.decayed(level, np.array([away]))[0] - level[0] * np.exp(-integral))))
        level = model.returned(level, np.array([away]))
        last = time
        # Never capped, activeness is the start and every jump, each decayed since it happened.
        since = time - times[: number + 1]
        closed = start * np.exp(-hazard * time) + jump * np.exp(-hazard * since).sum()
        worst = largest(worst, abs(float(level[0] - closed)))
        wrong += int(not closed < 1)
    area = quad(lambda x: float(model.decayed(np.array(0.7), np.array(x))), 0, np.inf)[0]
    worst = largest(worst, abs(area - float(model.expected_absence(np.array(0.7)))) / area)
    quick = model.returned(model.returned(np.array([0.5, 0.1]), np.zeros(2)), np.zeros(2))
    worst = largest(worst, np.abs(quick - [1.0, 0.1 + 2 * jump]).max(), float(wrong))
    return Check(worst, 1e-8, "largest difference", "closed form and scipy.integrate.quad")


@evidence(
    "drn-news-recommendation",
    claim="Interleaved lists draw each place from a ranking by 1 / rank^3 among what is left, a fair coin naming the ranking",
    against="the probabilities of all lists and coins of two rankings by enumeration",
)
def interleaving() -> Check:
    from fivefold.models.recommend._dueling import interleave, outcome

    first, second = np.array([5.0, 4.0, 3.0, 9.0, 1.0]), np.array([1.0, 5.0, 4.0, 9.0, 3.0])
    gone = np.array([False, False, False, True, False])
    size, draws = 2, 40000
    best = ([0, 1], [1, 2])  # by score, item 3 being gone
    expected: dict[tuple[int, ...], float] = {}
    for coins in itertools.product((0, 1), repeat=size):
        for items in itertools.permutations((0, 1, 2), size):
            chance = 0.5**size
            for place, (coin, item) in enumerate(zip(coins, items)):
                weights = {i: (r + 1) ** -3.0 for r, i in enumerate(best[coin]) if i not in items[:place]}
                chance *= weights.get(item, 0.0) / sum(weights.values())
            expected[(*coins, *items)] = chance
    lists, coin = interleave(
        np.tile(first, (draws, 1)),
        np.tile(second, (draws, 1)),
        np.tile(gone, (draws, 1)),
        size,
        np.random.default_rng(0),
    )
    found: dict[tuple[int, ...], int] = {}
    for row in np.concatenate([coin.astype(int), lists], axis=1).tolist():
        found[tuple(row)] = found.get(tuple(row), 0) + 1
    wrong = sum(n for key, n in found.items() if key not in expected)
    worst = 0.0
    for key, p in expected.items():
        spread = np.sqrt(max(p * (1 - p), 1e-12) / draws)
        worst = largest(worst, abs(found.get(key, 0) / draws - p) / spread if p else float(found.get(key, 0)))
    liked = np.array([[True, False], [True, True], [False, True]])
    wrong += fault(outcome(liked, np.array([[True, True], [False, True], [False, False]])) != 0)
    wrong += fault(outcome(liked, np.array([[True, True], [True, True], [False, True]])) != 4)
    # 16 lists and coins: five standard errors are exceeded once in 100,000 seeds.
    return Check(largest(worst, 100.0 * wrong), 5.0, "standard errors", "enumeration")


@evidence(
    "drn-news-recommendation",
    claim="A perturbation is alpha times a uniform share of each weight; the winner moves the weights by eta of it, a loser not",
    against="the weights before and after, with feedback made to favor either ranking",
)
def bandit() -> Check:
    from fivefold.models.recommend._dueling import perturbation, shifted
    from fivefold.models.recommend.drn import NewsPlayer

    model = _fitted(alpha=0.3, eta=0.2)
    network = model.learner_.network
    before = [p.detach().clone() for p in network.parameters()]
    direction = perturbation(network, 0.3, np.random.default_rng(0))
    ratio = torch.cat([(d / p).flatten() for d, p in zip(direction, before)])
    ratio = ratio[torch.isfinite(ratio)].numpy() / 0.3
    # Uniform on (-1, 1): mean 0, variance 1/3, fourth moment 1/5.
    n = len(ratio)
    wrong = int((~(np.abs(ratio) <= 1 + 1e-5)).any()) + int(not abs(ratio.mean()) <= 5 * np.sqrt(1 / 3 / n))
    wrong += int(not abs((ratio**2).mean() - 1 / 3) <= 5 * np.sqrt((1 / 5 - 1 / 9) / n)) + int(not n >= 300)
    worst = 0.0
    with shifted(network, direction):
        for p, old, step in zip(network.parameters(), before, direction):
            worst = largest(worst, (p - old - step).abs().max().item())
    for p, old in zip(network.parameters(), before):
        worst = largest(worst, (p - old).abs().max().item())
    visits = model._visits(8)
    draw = np.random.default_rng(1)
    visits.begin(draw)
    for favor in (True, False):
        player = NewsPlayer(model)
        seen = visits.observation
        lists = player.lists(seen, 0.0, draw)
        old = [p.detach().clone() for p in network.parameters()]
        liked = player._coin if favor else ~player._coin
        actions, rewards = player.learned(seen, lists, liked, visits)
        for p, q, step in zip(network.parameters(), old, player._direction):
            worst = largest(worst, (p - q - (0.2 * step if favor else 0.0)).abs().max().item())
        # What is remembered: the place on offer of every shown item, liked or not plus 0.05 of the activeness at the return.
        offer = seen[:, -6:]
        wrong += int((offer[np.repeat(np.arange(8), 2), actions] != lists.ravel()).any())
        worst = largest(worst, np.abs(rewards - (liked + 0.05 * visits.levels[:, None]).ravel()).max())
        wrong += int(
            any(not set(row) <= set(o) or len(set(row)) != 2 for row, o in zip(lists.tolist(), offer.tolist()))
        )
    return Check(largest(worst, float(wrong)), 1e-6, "largest difference", "the weights")


@evidence(
    "drn-news-recommendation",
    claim="Q is a value of the user plus an advantage of the item less its mean; the item of the network is valued by the target",
    against="the features and both perceptrons item by item, targets row by row",
)
def values() -> Check:
    from fivefold.models.recommend.drn import DRNLearner, DuelingNetwork

    draw = np.random.default_rng(0)
    vectors, counts = draw.normal(size=(9, 3)), np.arange(9.0)
    torch.manual_seed(0)
    learner = DRNLearner(DuelingNetwork(vectors, counts, 2, (8,)), 3, 0.6, 0.25).double()
    for p in learner.target.parameters():
        p.mul_(0.5).add_(0.1)
    level = np.append((np.log1p(counts) - np.log1p(counts).mean()) / np.log1p(counts).std(), 0.0)
    e = np.vstack([vectors, np.zeros(3)]).astype(np.float32).astype(float)
    rows = np.array([[*draw.permutation(9)[:5], *draw.permutation(9)[:3]] for _ in range(5)])
    rows[0, 0] = rows[1, :2] = rows[2, 3:5] = -1

    def q(network: Any, row: np.ndarray) -> np.ndarray:
        """Return the values of the three items on offer."""
        state, shown, offer = row[:2], row[2:5], row[5:]
        told = [e[i] for i in state if i >= 0]
        mean = np.mean(told, axis=0) if told else np.zeros(3)
        user = [*mean, len(told) / 2, np.mean(shown >= 0)]
        lines = [[*user, *e[i], *(e[i] * mean), level[i], float(e[i] @ mean)] for i in offer]
        with torch.no_grad():
            a = network.advantage(torch.tensor(np.array(lines)))[:, 0].numpy()
            return float(network.value(torch.tensor(np.array(user))[None])) + a - a.mean()

    found = learner.values(learner.network, torch.from_numpy(rows)).detach().numpy()
    worst = largest(np.abs(found[r] - q(learner.network, rows[r])).max() for r in range(5))
    after = rows[::-1].copy()
    fields = {
        "observation": torch.from_numpy(rows),
        "action": torch.tensor([0, 1, 2, 0, 1]),
        "reward": torch.from_numpy(draw.random(5)),
        "next_observation": torch.from_numpy(after),
        "terminated": torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0], dtype=torch.float64),
        "recent_return": 0.0,
    }
    batch = Batch(fields, Place(0, 0, 0, 5, 0))
    loss, differs = 0.0, 0
    y = learner.targets(batch).numpy()
    for row in range(5):
        mine, theirs = q(learner.network, after[row]), q(learner.target, after[row])
        differs += int(np.argmax(mine) != np.argmax(theirs))
        expected = float(batch.reward[row]) + (0.0 if row == 2 else 0.6 * theirs[np.argmax(mine)])
        worst = largest(worst, abs(y[row] - expected))
        error = abs(q(learner.network, rows[row])[int(batch.action[row])] - expected)
        loss += 0.5 * error**2 if error < 1 else error - 0.5
    old = copy.deepcopy(learner.target)
    steps = learner.steps(batch)
    worst = largest(worst, abs(float(next(steps).loss.detach()) - loss / 5), float(next(steps, None) is not None))
    for a, b, c in zip(old.parameters(), learner.target.parameters(), learner.network.parameters()):
        worst = largest(worst, (0.75 * a + 0.25 * c - b).abs().max().item())
    return Check(worst, 2e-7, "largest difference", "loops in float64 (popularity is stored in float32)")


@evidence(
    "drn-news-recommendation",
    claim="recommend and predict give Q at the start of a session; epsilon-greedy lists hold a share epsilon of random items",
    against="the network user by user; counting the places that are not the best",
)
def recommended() -> Check:
    from fivefold.models.recommend.drn import NewsPlayer

    from ._ratings import ratings

    frame = ratings(30, 25, 0.5, seed=1)
    model = _fitted(exploration="epsilon-greedy", epsilon=0.25)
    found = model.recommend(k=4)
    worst, wrong = 0.0, 0
    for user in range(0, 30, 4):
        rows = frame.filter(pl.col("user") == user)
        met = np.searchsorted(model.items_, rows["item"].to_numpy())
        good = [int(i) for i, r in zip(met, rows["rating"].to_list()) if r >= 4]
        state = torch.tensor([([-1] * 3 + good)[-3:]])
        with torch.no_grad():
            q = model.learner_.network(state, torch.full((1, 6), -1), torch.arange(len(model.items_))[None])[0].numpy()
        q[met] = -np.inf
        lists = found.filter(pl.col("user") == user)
        wrong += int(np.searchsorted(model.items_, lists["item"].to_numpy()).tolist() != np.argsort(-q)[:4].tolist())
        worst = largest(worst, np.abs(lists["score"].to_numpy() - np.sort(q)[::-1][:4]).max())
    pairs = model.predict({"user": found["user"], "item": found["item"]})
    worst = largest(worst, np.abs(pairs - found["score"].to_numpy()).max())
    visits, draw = model._visits(4000), np.random.default_rng(0)
    visits.begin(draw)
    best = model.lists(visits.observation)
    lists = NewsPlayer(model).lists(visits.observation, 0.5, draw)
    share = float((lists != best).mean())
    wrong += int(not abs(share - 0.25) <= 5 * np.sqrt(0.25 * 0.75 / lists.size))
    offer = visits.observation[:, -6:]
    wrong += int((~(lists[:, :, None] == offer[:, None, :]).any(axis=2)).any())
    return Check(largest(worst, float(wrong)), 1e-5, "largest difference", "the network")


@evidence(
    "drn-news-recommendation",
    claim="The similarity within lists is the mean cosine over the pairs of their items",
    against="loops over lists and pairs",
)
def diversity() -> Check:
    from fivefold.models.recommend._simulator import likeness_within

    draw = np.random.default_rng(0)
    e = draw.normal(size=(12, 3))
    e /= np.linalg.norm(e, axis=1, keepdims=True)
    e[4] = 0.0
    lists = np.array([[draw.permutation(12)[:4] for _ in range(3)] for _ in range(5)])
    pairs = [e[i] @ e[j] for row in lists.reshape(-1, 4) for i, j in itertools.permutations(row, 2)]
    worst = abs(likeness_within(e, lists) - float(np.mean(pairs)))
    return Check(largest(worst, abs(likeness_within(e, lists[:, :, :1]))), 1e-12, "largest difference", "loops")


@evidence(
    "drn-news-recommendation",
    claim="Items on offer are a uniform draw of what the session has not shown; users come back the sooner the more they liked",
    against="counting the offers; the mean time away, read back from the activeness",
)
def offers() -> Check:
    model = _fitted()
    visits, draw = model._visits(4000), np.random.default_rng(0)
    visits.begin(draw)
    n, wrong, worst = len(model.items_), 0, 0.0
    wrong += fault((visits.levels != 0.5).any())
    for number in range(3):
        offer, gone = visits.offer, visits.observation[:, :-6]
        left = np.ones((4000, n + 1), dtype=bool)
        np.put_along_axis(left, gone, False, axis=1)
        left = left[:, :-1]
        wrong += fault((~np.take_along_axis(left, offer, axis=1)).any()) + fault((np.diff(np.sort(offer)) == 0).any())
        wrong += fault((model.blocked(visits.observation).sum(axis=1) != n - 6).any())
        chance = np.where(left, 6.0 / left.sum(axis=1, keepdims=True), 0.0)
        spread = np.sqrt((chance * (1 - chance)).sum(axis=0))
        worst = largest(worst, (np.abs(np.bincount(offer.ravel(), minlength=n) - chance.sum(axis=0)) / spread).max())
        before = visits.levels
        liked = visits.step(offer[:, :2], draw)
        jump = 0.5 * (1 - np.exp(-0.0432 * 24))
        known = visits.levels < 1
        hours = np.log(before / np.maximum(visits.levels - jump, 1e-300)) / 0.0432
        wrong += fault((~(hours[known] >= -1e-9)).any())
        if number == 0:
            # From 0.5 the activeness never reaches 1, so every time away can be read back: exponential, mean 24 (1.5 - share).
            for count in range(3):
                rows = liked.sum(axis=1) == count
                mean = 24 * (1.5 - count / 2)
                worst = largest(worst, abs(hours[rows].mean() - mean) / (mean / np.sqrt(rows.sum())))
    # 3 x 25 counts and 3 means: five standard errors are exceeded once in 20,000 seeds.
    return Check(largest(worst, 100.0 * wrong), 5.0, "standard errors", "counting")


@evidence(
    "drn-news-recommendation",
    claim="On average over three simulators of MovieLens the bandit ends with lists that earn more and repeat themselves less",
    against="the same network that explores by epsilon-greedy for as many rounds; 400 sessions each from equal first states",
    slow=True,
)
def exploration() -> Check:
    from fivefold.data.datasets import load_dataset
    from fivefold.models.recommend import DRN
    from fivefold.models.recommend._simulator import likeness_within

    frame = load_dataset("movielens-100k", part="ratings").frame
    gain, spread = np.zeros(2), np.zeros(2)
    for seed in range(3):
        model = DRN(user="user_id", item="item_id", time="timestamp", random_state=seed).fit(frame)
        policies = {"dueling-bandit": model.lists, **model.rivals()}
        for name, sign in (("dueling-bandit", 1.0), ("epsilon-greedy", -1.0)):
            record = model.simulate(400, policy=policies[name])
            unlike = [-likeness_within(model.item_factors_, lists) for lists in record.lists]  # (400,)
            rows = np.stack([record.rewards.mean(axis=1), np.array(unlike)])  # (2, 400)
            gain += sign * rows.mean(axis=1) / 3
            spread += rows.var(axis=1, ddof=1) / 400 / 9
    return Check(
        float((gain / np.sqrt(spread)).min()),
        3.0,
        "standard errors, the lesser of both",
        "epsilon-greedy",
        at_least=True,
    )
