"""Evidence for the cascading Q-networks: sets, targets, play, what is learned, lists."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
import polars as pl

from fivefold.evidence import Check, evidence, largest, smallest

from ._user_model import HOW, histories, layer, tastes, tower


@evidence(
    "gan-user-model",
    claim="The cascade over the exact Q^j, the maxima over what may follow, is the best of all sets",
    against="exhaustive search over the sets of 3 of 7 items, for 40 random values of sets; some items are not allowed",
)
def cascade_of_exact_values() -> Check:
    import torch

    from fivefold.models.recommend._cascade import cascade

    draw = np.random.default_rng(0)
    sets = list(itertools.combinations(range(7), 3))
    value = draw.normal(size=(40, len(sets)))
    allowed = np.ones((40, 7), dtype=bool)
    allowed[np.arange(0, 40, 2), draw.integers(7, size=20)] = False
    inside = np.array([[all(row[list(s)]) for s in sets] for row in allowed])
    value = np.where(inside, value, -np.inf)

    def exact(place: int, chosen: torch.Tensor) -> torch.Tensor:
        best = np.full((40, 7), -9.0)
        for row, item in itertools.product(range(40), range(7)):
            need = {*chosen[row].tolist(), item}
            fits = [value[row, i] for i, s in enumerate(sets) if need <= set(s) and len(need) == place + 1]
            best[row, item] = max([*fits, -9.0])
        return torch.from_numpy(best)

    chosen, found = cascade(exact, 3, torch.from_numpy(allowed))
    best = value.max(axis=1)
    wrong = int((~(np.abs(found.numpy() - best[:, None]) <= 1e-15)).sum())
    wrong += sum(set(a) != set(sets[i]) for a, i in zip(chosen.tolist(), value.argmax(axis=1)))
    return Check(wrong, 0, "rows that differ", "exhaustive search")


def _pair(seed: int = 5) -> tuple[Any, Any]:
    """Return scores and a cascade of three Q-networks over them, in double precision."""
    import torch

    from fivefold.models.recommend._cascade import CascadeNetwork

    scores = tower(seed=seed)
    torch.manual_seed(seed)
    return scores, CascadeNetwork(scores, 3, 4).double()


def _value(network: Any, place: int, state: np.ndarray, features: np.ndarray) -> float:
    """Return q ReLU(L [s; f_1; ...; f_j] + c) of one beginning of a slate, features (j, d)."""
    blocks = [layer(network.of_state[place])[0]]
    blocks += [layer(network.of_before[place - 1])[0]] if place else []
    matrix = np.concatenate([*blocks, layer(network.of_item[place])[0]], axis=1)
    (out, last), shift = layer(network.out[place]), layer(network.of_state[place])[1]
    return float((out @ np.maximum(matrix @ np.concatenate([state, features.ravel()]) + shift, 0) + last)[0])


@evidence(
    "gan-user-model",
    claim="All Q^j learn y = r + gamma Q^k of the cascade's next slate by the target networks, which follow by tau",
    against="Q^j = q ReLU(L [s; f_1; ...; f_j] + c) row by row, and the cascade by loops",
)
def stacked_loss() -> Check:
    import torch

    from fivefold.data.batches import Batch, Place
    from fivefold.models.recommend._cascade import CascadeLearner

    scores, network = _pair()
    learner = CascadeLearner(network, scores, 0.8, 0.25)
    with torch.no_grad():
        for p in learner.target.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1)).double())
    before = [p.clone() for p in learner.target.parameters()]
    past, after = histories(5, 4, 9, 1), histories(5, 4, 9, 2)
    slates = np.array([[0, 1, 2], [4, 3, 8], [5, 6, 7], [2, 0, 5], [8, 1, 3]])
    pool = np.array([8, 0, 4, 2, 7, 1, 3])
    reward = np.array([0.5, 0.0, -1.0, 2.0, 0.3])
    f = scores.features.weight.detach().numpy()
    states, nexts = (scores.states(torch.from_numpy(a)).detach().numpy() for a in (past, after))
    y, q = reward.copy(), np.empty((5, 3))
    for row in range(5):
        chosen: list[int] = []
        for place in range(3):
            rest = [i for i in pool.tolist() if i not in after[row] and i not in chosen]
            values = [_value(learner.target, place, nexts[row], f[[*chosen, i]]) for i in rest]
            chosen.append(rest[int(np.argmax(values))])
        y[row] += 0.8 * max(values)
        q[row] = [_value(network, j, states[row], f[slates[row, : j + 1]]) for j in range(3)]
    fields = {"observation": past, "action": slates, "reward": reward, "next_observation": after, "pool": pool}
    batch = Batch({name: torch.from_numpy(a) for name, a in fields.items()}, Place(0, 0, 0, 5, 0))
    step = list(learner.steps(batch))[0]
    wrong = largest(abs(step.loss.item() - ((y[:, None] - q) ** 2).sum(1).mean()), float(step.part != "q"))
    for old, new, mine in zip(before, learner.target.parameters(), network.parameters()):
        wrong = largest(wrong, (new - (0.75 * old + 0.25 * mine)).abs().max().item())
    frozen = torch.autograd.grad(step.loss, list(scores.parameters()), allow_unused=True)
    return Check(largest(wrong, float(any(g is not None for g in frozen))), 1e-12, "largest difference", "numpy")


@evidence(
    "gan-user-model",
    claim="Sessions store what was seen, shown, expected and came next; slates are the cascade's but for a share that falls",
    against="the parts called by hand, with all, half and no slates random",
)
def play() -> Check:
    import torch

    from fivefold.models.recommend._cascade import CascadeLearner, CascadeNetwork, Player, best_slates
    from fivefold.models.recommend._user_model import UserLearner

    torch.manual_seed(0)
    scores = tower(20).float()
    users = UserLearner(scores, tower(20, seed=1).float(), 1.3, "entropy")
    torch.nn.init.constant_(users.behavior.out.bias, 1.0)  # so that most displays are chosen from
    learner = CascadeLearner(CascadeNetwork(scores, 3, 4), scores, 0.8, 0.25)
    settings = {
        "sessions": 40,
        "horizon": 3,
        "n_candidates": 12,
        "buffer_size": 400,
        "policy_batch_size": 8,
        "exploration_initial_eps": 0.8,
        "exploration_final_eps": 0.0,
        "policy_steps": 8,
    }
    starts = histories(10, 4, 20, 6)
    player, wrong, shares = Player(learner, users, starts, settings, 3), 0, []
    batches = player.epoch(0)
    for step in range(8):
        eps, pool = player.epsilon(), player._pool("pool")
        before = player.sessions.history.numpy().copy()
        batch = next(batches)
        rows = slice(40 * step, 40 * step + 40)
        seen, shown, reward, after = (
            player.buffer.arrays[name][rows] for name in ("observation", "action", "reward", "next_observation")
        )
        if step % 3 == 0:  # sessions begin anew
            wrong += int(not {tuple(h) for h in seen.tolist()} <= {tuple(h) for h in starts.tolist()})
        else:
            wrong += int((seen != before).sum())
        args = torch.from_numpy(seen), torch.from_numpy(shown)
        phi, r = users.chances(*args), users.rewards(*args)
        wrong += int((~(np.abs((phi * r).sum(1).detach().numpy() - reward) <= 1e-6)).sum())
        wrong += int((after != player.sessions.history.numpy()).sum()) + int(
            not 20 <= (after != seen).any(1).sum() <= 40
        )
        wrong += sum(
            len(set(a)) != 3 or not set(a) <= set(pool.tolist()) - set(h) for a, h in zip(shown.tolist(), seen)
        )
        best = best_slates(learner.network, scores, args[0], pool)[0].numpy()
        shares.append(float((best != shown).any(1).mean()))
        wrong += int(not abs(eps - 0.8 * max(0.0, 1 - step / 4)) <= 1e-12) + int(batch.observation.shape != (8, 4))
    # A random slate is the cascade's once in 990 times.
    wrong += sum(
        not abs(share - 0.8 * max(0.0, 1 - i / 4)) <= 4.5 * np.sqrt(0.25 / 40) for i, share in enumerate(shares)
    )
    wrong += int(shares[4:] != [0.0] * 4) + int(len(pool) != 12)
    # What a checkpoint holds brings the sessions back; without it, or without sessions, there is nothing to bring back.
    state, past = copy.deepcopy(learner.extra_state()), player.sessions.history.clone()
    next(batches)
    learner.load_extra_state({})
    wrong += int(player.n_steps != 9)
    learner.load_extra_state(state)
    wrong += int(player.n_steps != 8) + int(not torch.equal(player.sessions.history, past))
    learner.player = None
    learner.load_extra_state(state)
    wrong += int(learner.extra_state() != {})
    return Check(wrong, 0, "steps that differ", "the parts")


def learned_share(**how: Any) -> float:
    """Return what the learned cascade's pairs of 12 items gain over a random pair, as a share of what the best pair gains."""
    import torch

    from fivefold.models.recommend import GANUserModel

    model = GANUserModel(**{**HOW, "hidden": 32}, gamma=0.0, learning_rate=0.02, init_epochs=10, **how).fit(tastes())
    pairs = torch.tensor(list(itertools.combinations(range(12), 2)))
    people = len(model.windows_)
    args = torch.from_numpy(np.repeat(model.windows_, len(pairs), axis=0)), pairs.repeat(people, 1)
    phi, r = model.users_model_.chances(*args), model.users_model_.rewards(*args)
    worth = (phi * r).sum(1).reshape(people, -1).numpy()  # (users, pairs)
    slates = np.sort(model.slates(model.windows_, np.ones((people, 12), dtype=bool)), axis=1)
    places = {tuple(p): i for i, p in enumerate(pairs.tolist())}
    mine = worth[np.arange(people), [places[tuple(s)] for s in slates.tolist()]]
    return float((mine - worth.mean(1)).mean() / (worth.max(1) - worth.mean(1)).mean())


@evidence(
    "gan-user-model",
    claim="On a small pool a short learning brings the cascade most of the way from a random to the best set",
    against="exhaustive search over the pairs of 12 items by the user model's own chances and rewards",
)
def learned_cascade() -> Check:
    share = learned_share(policy_steps=250, policy_batch_size=64, policy_learning_rate=0.01)
    return Check(share, 0.6, "of the gain over a random slate", "exhaustive search", at_least=True)


@evidence(
    "gan-user-model",
    claim="On a small pool the learned cascade gains nine tenths of what the best of all sets does, for users of both tastes",
    against="exhaustive search over the pairs of 12 items by the user model's own chances and rewards",
    slow=True,
)
def long_learned_cascade() -> Check:
    share = learned_share(
        policy_steps=1500, policy_batch_size=256, policy_learning_rate=0.005, exploration_final_eps=0.3
    )
    return Check(share, 0.9, "of the gain over a random slate", "exhaustive search", at_least=True)


@evidence(
    "gan-user-model",
    claim="Lists are the cascade's slates one after the other, of what is allowed and unseen, scores lowered to what is before",
    against="the Q-values and a loop over places",
)
def lists() -> Check:
    from fivefold.models.recommend import GANUserModel

    model = GANUserModel(**HOW, policy_steps=30, batch_size=64).fit(tastes())
    allowed = [0, 1, 2, 3, 5, 6, 8, 9, 11]
    found = model.recommend([4, 5], k=5, candidates=allowed)
    wrong = 0
    for user in (4, 5):
        history, chosen, ceiling = model.windows_[user][None], [], np.inf
        seen = set(model.seen_[model.starts_[user] : model.starts_[user + 1]].tolist())
        rows = found.filter(pl.col("user") == user)
        for rank in range(len(rows)):
            before = np.array([chosen[rank - rank % 2 :]], dtype=np.int64).reshape(1, -1)
            values = model._values(rank % 2, history, before)[0]
            rest = [i for i in allowed if i not in seen and i not in chosen]
            chosen.append(max(rest, key=lambda i: values[i]))
            ceiling = smallest(ceiling, values[chosen[-1]])
            wrong += int(rows["item"][rank] != chosen[-1]) + int(not abs(rows["score"][rank] - ceiling) <= 1e-6)
        wrong += int(len(rows) != min(5, len([i for i in allowed if i not in seen])))
    return Check(wrong, 0, "places that differ", "a loop")
