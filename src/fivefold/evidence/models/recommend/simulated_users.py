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
