"""Evidence for the simulator that list-wise recommenders learn in: sessions, similarity, sampling, transitions."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest

from ._ratings import ratings

N, K = 3, 2


def interactions(seed: int = 0, people: int = 14, things: int = 20) -> Any:
    """Return mixed rows of random ratings."""
    from fivefold.models.recommend._tables import read_interactions

    frame = ratings(people, things, 0.55, seed=seed)
    return read_interactions(frame[np.random.default_rng(seed).permutation(len(frame))], "user", "item", "rating")


def simulator(seed: int = 0, balance: float = 0.3, decay: float = 0.8) -> tuple[Any, Any, np.ndarray]:
    """Return a small simulator, its log and its vectors."""
    from fivefold.models.recommend._simulator import UserSimulator, read_sessions

    data = interactions(seed)
    vectors = np.random.default_rng(seed + 1).normal(0.4, 1.0, (data.shape[1], 4))
    log = read_sessions(data, 4.0, N, K)
    return UserSimulator.of(log, vectors, balance, decay), log, vectors


@evidence(
    "lird",
    claim="Sessions are each user's rows K at a time, after the last N items liked before them",
    against="a loop over the rows",
)
def sessions() -> Check:
    from fivefold.models.recommend._simulator import read_sessions, states_before

    wrong = 0
    for seed in range(3):
        data = interactions(seed)
        log = read_sessions(data, 4.0, N, K)
        expected, last = [], []
        for user in range(data.shape[0]):
            rows = [i for i, u in enumerate(data.users) if u == user]
            for first in range(0, len(rows) - K + 1, K):
                before = [int(data.items[i]) for i in rows[:first] if data.ratings[i] >= 4]
                state = ([-1] * N + before)[-N:]
                block = rows[first : first + K]
                expected.append((state, [int(data.items[i]) for i in block], [data.ratings[i] >= 4 for i in block]))
            last.append(([-1] * N + [int(data.items[i]) for i in rows if data.ratings[i] >= 4])[-N:])
        wrong += int([e[0] for e in expected] != log.states.tolist())
        wrong += int([e[1] for e in expected] != log.lists.tolist())
        wrong += int([e[2] for e in expected] != log.liked.tolist())
        order, starts = data.by_user()
        people = np.arange(data.shape[0])
        final = states_before(data.items[order], data.ratings[order] >= 4, starts, people, starts[1:], N)
        wrong += int(final.tolist() != last)
    return Check(wrong, 0, "tables that differ", "a loop")


@evidence(
    "lird",
    claim="The grouped probabilities are the sums over single memories, and rewards weigh places by powers of the decay",
    against="cosines with every remembered pair, one at a time",
)
def similarity() -> Check:
    model, log, vectors = simulator()
    table = np.vstack([vectors, np.zeros(4)])
    draw = np.random.default_rng(5)
    states = draw.integers(0, len(vectors), (6, N))
    states[0, :2], states[1] = -1, -1
    lists = np.array([draw.choice(len(vectors), K, replace=False) for _ in range(6)])

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        lengths = np.linalg.norm(a) * np.linalg.norm(b)
        return float(a @ b / lengths) if lengths > 0 else 0.0

    worst = 0.0
    found, mean = model.probabilities(states, lists), model.expected_reward(states, lists)
    for row in range(6):
        s, a = table[states[row]].ravel(), table[lists[row]].ravel()
        sums: dict[tuple[bool, ...], float] = {}
        for i in range(len(log.lists)):
            alike = 0.3 * cosine(s, table[log.states[i]].ravel()) + 0.7 * cosine(a, table[log.lists[i]].ravel())
            way = tuple(log.liked[i].tolist())
            sums[way] = sums.get(way, 0.0) + alike
        total = sum(max(v, 0.0) for v in sums.values())
        expected = [max(sums.get(tuple(way), 0.0), 0.0) / total for way in model.ways.tolist()]
        worst = largest(worst, np.abs(found[row] - expected).max())
        reward = sum(p * sum(0.8**k * way[k] for k in range(K)) for p, way in zip(expected, model.ways.tolist()))
        worst = largest(worst, abs(mean[row] - reward))
    # Nothing is alike to items without vectors: the ways are drawn by how often they happened.
    plain = np.bincount(log.liked @ [1, 2], minlength=4) / len(log.liked)
    empty = np.full((1, N), -1), np.full((1, K), -1)
    worst = largest(worst, np.abs(model.probabilities(*empty)[0] - plain).max())
    worst = largest(worst, np.abs(model.ways.astype(int) - [[0, 0], [1, 0], [0, 1], [1, 1]]).max())
    return Check(worst, 1e-12, "largest difference", "single memories")


@evidence(
    "lird",
    claim="A group whose cosines add up to less than nothing is never drawn; the rest is drawn by its probability",
    against="the inverse of the distribution function on a grid of uniform numbers",
)
def drawing() -> Check:
    model, _, vectors = simulator(seed=2)
    grid = (np.arange(20000) + 0.5) / 20000
    wrong = 0
    for seed in range(4):
        draw = np.random.default_rng(seed)
        state, chosen = draw.integers(0, len(vectors), (1, N)), draw.choice(len(vectors), (1, K), replace=False)
        p = model.probabilities(state, chosen)[0]
        liked = model.respond(np.repeat(state, 20000, 0), np.repeat(chosen, 20000, 0), grid)
        share = np.bincount(liked @ [1, 2], minlength=4) / 20000
        wrong += int((~(np.abs(share - p) <= 1.01 / 20000)).sum())
    opposed = type(model)(**{**model.get_state(), "vectors": -model.vectors, "balance": 0.0})
    p = opposed.probabilities(np.full((len(vectors), N), -1), np.arange(len(vectors))[:, None] + np.array([0, -1]))
    wrong += int(not (p == 0).any()) + int((~(p >= 0)).any()) + int((~(np.abs(p.sum(axis=1) - 1) <= 1e-12)).any())
    return Check(wrong, 0, "violations", "the probabilities")


@evidence(
    "lird",
    claim="What is liked enters the state in the order of the list; sessions begin anew after their horizon",
    against="lists of Python, one user at a time",
)
def transitions() -> Check:
    from fivefold.models.recommend._simulator import Visits, advance, blocked

    draw = np.random.default_rng(3)
    states, lists = draw.integers(-1, 20, (50, 4)), draw.integers(0, 20, (50, 3))
    liked = draw.random((50, 3)) < 0.5
    found = advance(states, lists, liked)
    wrong = 0
    for row in range(50):
        expected = (states[row].tolist() + [i for i, u in zip(lists[row].tolist(), liked[row]) if u])[-4:]
        wrong += int(found[row].tolist() != expected)
    model, log, vectors = simulator()
    visits = Visits(model, 5, 2)
    generator = np.random.default_rng(0)
    starts = {tuple(s) for s in log.states.tolist()}
    past: list[np.ndarray] = []
    for number in range(5):
        wrong += int(visits.begin(generator) != (number % 2 == 0))
        if number % 2 == 0:
            past = []
            wrong += int(not {tuple(s) for s in visits.states.tolist()} <= starts)
        shown = np.concatenate([*past, np.full((5, (2 - len(past)) * K), -1)], axis=1)
        wrong += int((visits.observation != np.concatenate([visits.states, shown], axis=1)).any())
        free = ~blocked(visits.observation, len(vectors))
        for row in range(5):
            gone = set(visits.observation[row].tolist())
            wrong += int(free[row].tolist() != [i not in gone for i in range(len(vectors))])
        past.append(np.argsort(~free, axis=1, kind="stable")[:, :K])
        before = visits.states
        liked = visits.step(past[-1], generator)
        wrong += int((visits.states != advance(before, past[-1], liked)).any())
    return Check(wrong, 0, "violations", "loops")


@evidence(
    "lird",
    claim="Baselines: chance takes every item equally often, popularity the most met, the Q-network explores less and less",
    against="sorting and counting",
)
@evidence(
    "drn-news-recommendation",
    claim="Baselines: chance takes every item equally often, popularity the most met, the Q-network explores less and less",
    against="sorting and counting",
)
def baselines() -> Check:
    from fivefold.models.recommend._baselines import ItemPlayer, best_left, mixed_lists, popular_lists, random_lists

    draw = np.random.default_rng(0)
    scores, gone = draw.integers(0, 5, (30, 12)).astype(float), draw.random((30, 12)) < 0.4
    gone[:, :5] = False
    wrong = 0
    best = best_left(scores, gone, 2)
    for row in range(30):
        order = sorted((i for i in range(12) if not gone[row, i]), key=lambda i: (-scores[row, i], i))
        wrong += int(best[row].tolist() != order[:2])
    scores, gone = np.tile(scores, (100, 1)), np.tile(gone, (100, 1))
    best = best_left(scores, gone, 2)
    rows = np.arange(3000)[:, None]
    for share in (0.0, 0.3, 1.0):
        lists = mixed_lists(scores, gone, 2, share, draw)
        other = lists != best
        wrong += int(not abs(other.mean() - share) <= 5 * np.sqrt(share * (1 - share) / 6000))
        wrong += int(gone[rows, lists].any()) + int((lists[:, 0] == lists[:, 1]).any())
        wrong += int((lists[:, :1] == best)[other[:, 0]].any())
    model = _small()
    visits = model._visits(2000)
    visits.begin(draw)
    seen = visits.observation
    closed = model.blocked(seen)
    lists = popular_lists(model)(seen, 0)
    order = np.argsort(-model.counts_, kind="stable")
    wrong += sum(int(lists[r].tolist() != [i for i in order if not closed[r, i]][:2]) for r in range(50))
    lists = random_lists(model, 3)(seen, 1)
    wrong += int(closed[np.arange(2000)[:, None], lists].any()) + int((lists != random_lists(model, 3)(seen, 1)).any())
    wrong += int((lists == random_lists(model, 3)(seen, 2)).all())
    # An item is drawn with the chance 2 / (items left) where it is left.
    chance = np.where(closed, 0.0, 2.0 / (~closed).sum(axis=1, keepdims=True))
    count, spread = np.bincount(lists.ravel(), minlength=chance.shape[1]), np.sqrt((chance * (1 - chance)).sum(axis=0))
    wrong += int((~(np.abs(count - chance.sum(axis=0)) <= 5 * spread)).sum())

    def network(rows: Any) -> Any:
        import torch

        return torch.from_numpy(np.tile(model.counts_, (len(rows), 1)))

    player = ItemPlayer(network, model)  # type: ignore[arg-type]
    first = best_left(model.counts_, closed, 2)
    for progress, share in ((0.0, 1.0), (0.1, 0.55), (0.2, 0.1), (0.9, 0.1)):
        found = float((player.lists(seen, progress, draw) != first).mean())
        wrong += int(not abs(found - share) <= 5 * np.sqrt(share * (1 - share) / 4000))
    actions, rewards = player.learned(seen, first, first % 2 == 0, visits)
    wrong += int((actions != first.ravel()).any()) + int((rewards != (first.ravel() % 2 == 0)).any())
    return Check(wrong, 0, "violations", "sorting and counting")


@evidence(
    "drn-news-recommendation",
    claim="The deep Q-network reads the vectors of the state's items and shows what is best and left; all policies are compared "
    "in sessions of their own",
    against="its layers on vectors put together by hand; the lists that no session may hold; the policies one by one",
)
def rival_network() -> Check:
    import torch

    from fivefold.models.recommend._baselines import StateNetwork, compare_policies, deep_q_lists, random_lists

    network = StateNetwork(np.arange(15.0).reshape(5, 3), 2, (4,))
    rows = torch.tensor([[3, -1, 9], [0, 4, 9]])  # what comes after the state does not count
    told = torch.tensor([[9.0, 10, 11, 0, 0, 0], [0, 1, 2, 12, 13, 14]])
    wrong = int(not torch.equal(network(rows), network.layers(told))) + int(network(rows).shape != (2, 5))
    model = _small()
    found = compare_policies(model, 6, 3)
    wrong += int(set(found) != {"LIRD", "random", "popularity", "deep Q-network"})
    wrong += int((found["LIRD"].lists != model.simulate(6, seed=3).lists).any())
    wrong += int((found["random"].lists != model.simulate(6, policy=random_lists(model, 3), seed=3).lists).any())
    visits = model._visits(50)
    visits.begin(np.random.default_rng(0))
    lists = deep_q_lists(model)(visits.observation, 0)
    wrong += int(model.blocked(visits.observation)[np.arange(50)[:, None], lists].any()) + int(lists.shape != (50, K))
    return Check(wrong, 0, "differences", "by hand")


def _small(**more: Any) -> Any:
    from fivefold.models.recommend import LIRD

    how: dict[str, Any] = {"list_size": K, "n_state": N, "factors": 4, "rounds": 3, "users": 4, "horizon": 3}
    return LIRD(**how, **more, batch_size=4, random_state=0).fit(ratings(30, 25, 0.5, seed=1))


@evidence(
    "lird",
    claim="Item vectors are the directions of implicit ALS of what was liked; policies are compared from equal first states",
    against="AlternatingLeastSquares on the liked rows; two simulations with one seed",
)
def vectors() -> Check:
    from fivefold.base.random import Streams
    from fivefold.models.recommend import AlternatingLeastSquares
    from fivefold.models.recommend._baselines import popular_lists

    model, frame = _small(), ratings(30, 25, 0.5, seed=1)
    good = frame.filter(frame["rating"] >= 4)
    seed = Streams(model.seed_).integer("als")
    als = AlternatingLeastSquares(factors=4, regularization=0.1, alpha=10.0, iterations=10, random_state=seed).fit(good)
    q = als.item_factors_ / np.linalg.norm(als.item_factors_, axis=1, keepdims=True)  # (n_items, 4)
    place = np.searchsorted(model.items_, als.items_)
    # Everyone liked something and everything was liked, so that both factorizations start from the same numbers.
    worst = float(len(als.users_) != 30 or len(als.items_) != len(model.items_))
    worst = largest(worst, np.abs(model.item_factors_[place] - q).max())
    first, second = model.simulate(6), model.simulate(6, policy=popular_lists(model))
    again = model.simulate(6)
    worst = largest(worst, np.abs(first.rewards - again.rewards).max(), float(first.rewards.shape != (6, 3)))
    wrong = int(model.simulate(6, seed=1).lists.tolist() == first.lists.tolist()) + int(second.lists.shape != (6, 3, K))
    states: list[np.ndarray] = []

    def spy(observations: np.ndarray, number: int) -> np.ndarray:
        if number == 0:
            states.append(observations)
        return model.lists(observations)

    model.simulate(6, policy=spy, seed=0)
    model.simulate(6, policy=lambda o, n: (spy(o, n), popular_lists(model)(o, n))[1], seed=0)
    wrong += int((states[0] != states[1]).any())
    return Check(largest(worst, float(wrong)), 1e-8, "largest difference", "AlternatingLeastSquares")
