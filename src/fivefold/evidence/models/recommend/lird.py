"""Evidence for LIRD: the order of lists, the steps of actor and critic, rewards in the simulator."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
import polars as pl
import torch

from fivefold.data.batches import Batch, Place
from fivefold.evidence import Check, evidence, largest


def _greedy(scores: np.ndarray, gone: set[int], size: int) -> list[int]:
    """Return the list of one user by sorting the scores of each place (K, n), places taking turns."""
    found: list[int] = []
    for number in range(size):
        row = scores[number % len(scores)]
        order = sorted(range(len(row)), key=lambda i: (-row[i], i))
        found.append(next(i for i in order if i not in gone and i not in found))
    return found


@evidence(
    "lird",
    claim="Each place of a list gets the item of largest score among those left",
    against="sorting all items for every place",
)
def lists() -> Check:
    from fivefold.models.recommend._top import merged_ranks
    from fivefold.models.recommend.lird import pick_lists

    draw = np.random.default_rng(0)
    scores = draw.integers(0, 6, (40, 3, 11)).astype(np.float64)  # many ties
    taken = draw.random((40, 11)) < 0.3
    found = pick_lists(torch.from_numpy(scores), torch.from_numpy(taken)).tolist()
    order = np.argsort(-scores, axis=2, kind="stable")
    ranks = merged_ranks(order, taken)
    wrong = 0
    for row in range(40):
        gone = set(np.flatnonzero(taken[row]).tolist())
        wrong += int(found[row] != _greedy(scores[row], gone, 3))
        first = _greedy(scores[row], gone, 11 - len(gone))
        after = _greedy(scores[row], set(first), len(gone))
        wrong += int(np.argsort(ranks[row]).tolist() != first + after)
        wrong += int(np.sort(ranks[row]).tolist() != list(range(1, 12)))
    return Check(wrong, 0, "lists that differ", "sorting")


HOW: dict[str, Any] = {
    "list_size": 2,
    "n_state": 3,
    "factors": 4,
    "hidden_sizes": (16,),
    "rounds": 8,
    "users": 8,
    "horizon": 3,
    "batch_size": 16,
}


def _table() -> pl.DataFrame:
    from ._ratings import ratings

    return ratings(30, 25, 0.5, seed=1)


def _fitted(**more: Any) -> Any:
    from fivefold.models.recommend import LIRD

    return LIRD(**{**HOW, **more}, random_state=0).fit(_table())


@evidence(
    "lird",
    claim="recommend begins with the actor's list of what the user has not met; the score is 1 / place",
    against="sorting the products of the actor's weights with the item vectors, for known and for new users",
)
def recommended() -> Check:
    model, frame = _fitted(), _table()
    learner = model.learner_
    worst = 0.0
    found = model.recommend(k=5)
    new = model.recommend(history=frame.with_columns(user=pl.col("user") + 500), k=5)
    for user in range(0, 30, 3):
        rows = frame.filter(pl.col("user") == user)
        met = [int(i) for i in np.searchsorted(model.items_, rows["item"].to_numpy())]
        good = [i for i, r in zip(met, rows["rating"].to_list()) if r >= 4]
        state = ([-1] * 3 + good)[-3:]
        e = np.vstack([model.item_factors_, np.zeros(4)])
        with torch.no_grad():
            w = learner.actor(torch.from_numpy(e[state].ravel().astype(np.float32))[None])[0].view(2, 4)
        expected = _greedy(
            (w / w.norm(dim=1, keepdim=True)).numpy() @ model.item_factors_.T.astype(np.float32), set(met), 5
        )
        for lists in (found.filter(pl.col("user") == user), new.filter(pl.col("user") == user + 500)):
            items = np.searchsorted(model.items_, lists["item"].to_numpy()).tolist()
            worst = largest(worst, float(items != expected))
            worst = largest(worst, np.abs(lists["score"].to_numpy() - 1 / np.arange(1, 6)).max())
    pairs = model.predict({"user": found["user"], "item": found["item"]})
    worst = largest(worst, np.abs(pairs - found["score"].to_numpy()).max())
    odd = model.predict({"user": [999, 0], "item": [int(model.items_[0]), 999]})
    return Check(largest(worst, np.abs(odd).max()), 1e-12, "largest difference", "sorting")


def _learner() -> Any:
    from fivefold.models.recommend.lird import ListActorCritic

    torch.manual_seed(0)
    vectors = np.random.default_rng(0).normal(size=(9, 3))
    learner = ListActorCritic(vectors, 2, 2, (8,), 0.6, 0.25, 0.5).double()
    for target in (learner.target_actor, learner.target_critic):
        for p in target.parameters():
            p.mul_(0.5).add_(0.1)
    return learner


def _batch() -> Batch:
    draw = np.random.default_rng(1)
    rows = [draw.permutation(9)[:8] for _ in range(6)]
    before = torch.from_numpy(np.array([[*r[:4], -1, -1] for r in rows]))
    after = torch.from_numpy(np.array([r[:6] for r in rows]))
    fields = {
        "observation": before,
        "action": torch.from_numpy(np.array([r[4:6] for r in rows])),
        "reward": torch.from_numpy(draw.random(6)),
        "next_observation": after,
        "terminated": torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0, 0.0], dtype=torch.float64),
        "recent_return": 0.0,
    }
    return Batch(fields, Place(0, 0, 0, 6, 0))


@evidence(
    "lird",
    claim="The critic regresses on r + gamma Q'(s', a') of the target actor's list, r alone after an end; targets move by tau",
    against="the target of each row over lists found by sorting; the weights after the batch",
)
def critic() -> Check:
    learner, batch = _learner(), _batch()
    e = learner.vectors.numpy()
    worst = 0.0
    y = learner.targets(batch).numpy()
    total = 0.0
    for row in range(6):
        after = batch.next_observation[row].numpy()
        with torch.no_grad():
            w = learner.target_actor(torch.from_numpy(e[after[:2]].ravel())[None])[0].view(2, 3).numpy()
            w /= np.linalg.norm(w, axis=1, keepdims=True)
            chosen = _greedy(w @ e[:-1].T, set(after.tolist()), 2)
            future = float(
                learner.target_critic(torch.from_numpy(np.r_[e[after[:2]].ravel(), e[chosen].ravel()])[None])
            )
            before = np.r_[e[batch.observation[row, :2]].ravel(), e[batch.action[row]].ravel()]
            q = float(learner.critic(torch.from_numpy(before)[None]))
        expected = float(batch.reward[row]) + (0.0 if row == 2 else 0.6 * future)
        worst = largest(worst, abs(y[row] - expected))
        total += (q - expected) ** 2
    old = copy.deepcopy(learner)
    steps = learner.steps(batch)
    first = next(steps)
    worst = largest(worst, abs(float(first.loss.detach()) - total / 6), float(first.part != "critic"))
    second = steps.send(True)
    worst = largest(worst, float(second.part != "actor"))
    with torch.no_grad():
        for p in itertools.chain(learner.actor.parameters(), learner.critic.parameters()):
            p.add_(1.0)
    worst = largest(worst, float(next(steps, None) is not None))
    for name in ("actor", "critic"):
        was, new = getattr(old, f"target_{name}"), getattr(learner, f"target_{name}")
        for a, b, c in zip(was.parameters(), new.parameters(), getattr(learner, name).parameters()):
            worst = largest(worst, (0.75 * a + 0.25 * c - b).abs().max().item())
    return Check(worst, 1e-12, "largest difference", "loops")


@evidence(
    "lird",
    claim="The actor's loss is minus the value of its own list, its gradient that of a softmax over the items left at each place",
    against="differences of the softmax list along the weights, times the critic's gradient at the list",
)
def actor() -> Check:
    learner, batch = _learner(), _batch()
    e = learner.vectors.numpy()[:-1]
    observations = batch.observation
    steps = learner.steps(batch)
    next(steps)
    loss = steps.send(True).loss
    found = torch.autograd.grad(loss, list(learner.actor.parameters()))

    def soft(weights: np.ndarray, gone: set[int], chosen: list[int]) -> np.ndarray:
        """Return the softmax list of one user, whose earlier places hold the ``chosen`` items."""
        places, left = [], set(gone)
        for w, best in zip(weights, chosen):
            z = np.array([w @ v / 0.5 if i not in left else -np.inf for i, v in enumerate(e)])
            p = np.exp(z - z.max())
            places.append((p / p.sum()) @ e)
            left.add(best)
        return np.concatenate(places)

    value, surrogate = 0.0, torch.zeros((), dtype=torch.float64)
    weights = learner.weights(learner.actor, observations)  # (6, 2, 3)
    for row in range(6):
        gone = {i for i in observations[row].tolist() if i >= 0}
        w = weights[row].detach().numpy()
        chosen = _greedy(w @ e.T, gone, 2)
        hard = torch.from_numpy(e[chosen].ravel()).requires_grad_()
        state = torch.from_numpy(e[observations[row, :2].numpy()].ravel())
        q = learner.critic(torch.cat([state, hard])[None]).squeeze()
        value += float(q.detach())
        slope = torch.autograd.grad(q, hard)[0].numpy()
        gradient = np.zeros_like(w)
        for place in np.ndindex(*w.shape):
            step = np.zeros_like(w)
            step[place] = 1e-6
            gradient[place] = slope @ (soft(w + step, gone, chosen) - soft(w - step, gone, chosen)) / 2e-6
        surrogate = surrogate - (weights[row] * torch.from_numpy(gradient)).sum() / 6
    expected = torch.autograd.grad(surrogate, list(learner.actor.parameters()))
    worst = abs(float(loss.detach()) + value / 6)
    for a, b in zip(found, expected):
        worst = largest(worst, (a - b).abs().max().item())
    return Check(worst, 1e-7, "largest difference", "differences")


@evidence(
    "lird",
    claim="Rounds are played with equal numbers after a stop, and replay holds what was shown and how it was liked",
    against="the rollout without a stop; transitions stored one at a time",
)
def rollouts() -> Check:
    from fivefold.models.recommend.lird import ListPlayer
    from fivefold.models.rl.replay import ReplayBuffer

    model = _fitted()

    def fresh() -> Any:
        return model.rollout(ListPlayer(model.learner_, 1.0), (2,))

    whole = list(fresh().epoch(0))[:6]
    half = fresh()
    batches = half.epoch(0)
    for _ in range(3):
        next(batches)
    again = fresh()
    again.set_state(copy.deepcopy(half.get_state()))
    rest = list(itertools.islice(again.epoch(0, 3), 3))
    wrong = 0
    for a, b in zip(whole[3:], rest):
        wrong += sum(int(not torch.equal(a[n], b[n])) for n in ("observation", "action", "reward", "next_observation"))
    for batch in rest:
        before, after = batch.observation.numpy(), batch.next_observation.numpy()
        for row in range(len(before)):
            new = [i for i, j in zip(after[row, 3:], before[row, 3:]) if i != j]
            wrong += int(new != batch.action[row].tolist())
            fresh_items = set(batch.action[row].tolist())
            wrong += int(bool(fresh_items & set(before[row].tolist())) or len(fresh_items) != 2)
            liked = [i in after[row, :3] for i in new]
            wrong += int(not abs(float(batch.reward[row]) - (liked[0] + 0.9 * liked[1])) <= 1e-6)
        wrong += int(bool(batch.terminated.any()))
    # Of a checkpoint the rollout alone takes what is its own; a learner that answers has none.
    learner = model.learner_
    learner.load_extra_state(half.get_state())
    wrong += int(learner.extra_state() != {})
    learner.rollout = fresh()
    start = copy.deepcopy(learner.extra_state())
    learner.load_extra_state({})
    wrong += int(learner.extra_state()["buffer"]["position"] != start["buffer"]["position"])
    learner.load_extra_state(copy.deepcopy(half.get_state()))
    place = [state["buffer"]["position"] for state in (start, half.get_state(), learner.extra_state())]
    wrong += int(place[0] == place[1] or place[1] != place[2])
    learner.rollout = None
    one, many = ReplayBuffer(5, (1,)), ReplayBuffer(5, (1,))
    draw = np.random.default_rng(0)
    for size in (2, 3, 1, 9, 4):
        rows = draw.normal(size=(size, 1)), draw.integers(0, 4, size), draw.normal(size=size)
        parts = (*rows, draw.normal(size=(size, 1)), draw.random(size) < 0.5)
        many.extend(*parts)
        for row in zip(*parts):
            one.add(*row)
        wrong += sum(int((one.arrays[n] != many.arrays[n]).any()) for n in one.arrays)
        wrong += int((one.position, one.full) != (many.position, many.full))
    return Check(wrong, 0, "differences", "without a stop")


def _worth(frame: pl.DataFrame, **params: Any) -> float:
    """Return by how many standard errors the list reward of LIRD is above that of its nearest baseline."""
    from fivefold.models.recommend import LIRD
    from fivefold.models.recommend._baselines import compare_policies

    names = {"user": "user_id", "item": "item_id", "time": "timestamp"}
    found = compare_policies(LIRD(**names, **params, random_state=0).fit(frame), 500, 0)
    means = {name: record.rewards.mean(axis=1) for name, record in found.items()}  # (500,)
    mine = means.pop("LIRD")
    gaps = [
        (mine.mean() - other.mean()) / np.sqrt((mine.var(ddof=1) + other.var(ddof=1)) / len(mine))
        for other in means.values()
    ]
    if set(means) != {"random", "popularity", "deep Q-network"}:
        return -np.inf
    return float(np.min(gaps))


@evidence(
    "lird",
    claim="In the simulator of MovieLens lists are worth more than by chance, by popularity or by a deep Q-network of items",
    against="500 sessions each from equal first states; the deep Q-network learns as long",
    slow=True,
)
def movielens_rewards() -> Check:
    from fivefold.data.datasets import load_dataset

    frame = load_dataset("movielens-100k", part="ratings").frame
    return Check(_worth(frame), 5.0, "standard errors above the nearest", "baselines in the simulator", at_least=True)
