"""Deep Q-network with replay and a target network (Mnih et al. 2015)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from fivefold.base.checks import check_count, check_number
from fivefold.base.errors import CapabilityError, InputError
from fivefold.base.random import Streams
from fivefold.data.batches import Batch, Place
from fivefold.engine.learner import Learner, PartSpec, Step, Steps
from fivefold.engine.runtime import seeded
from fivefold.engine.trainer import Trainer
from fivefold.models.rl.base import Agent, Interaction, env_name
from fivefold.models.rl.networks import observation_network
from fivefold.models.rl.replay import ReplayBuffer

if TYPE_CHECKING:
    import gymnasium

BLOCK = 1024
"""Steps whose exploration numbers are drawn together."""

EPOCH_STEPS = 1000
"""Environment steps that count as an epoch of the engine: the interval of its records."""


_COUNTERS = ("n_steps", "n_batches", "pending", "made")


def td_target(reward: Tensor, terminated: Tensor, next_values: Tensor, gamma: float) -> Tensor:
    r"""Return :math:`y = r + \gamma (1 - \text{terminated}) \max_{a'} \hat Q(s', a')`, shape (batch,).

    ``next_values`` has shape (batch, actions). After a termination the target is the reward alone; a truncated episode is not
    terminated.
    """
    return reward + gamma * (1 - terminated) * next_values.max(dim=1).values


class DQNLearner(Learner):
    """What a replayed batch teaches the Q-network; the target network follows every so many environment steps."""

    defaults: ClassVar[dict[str, PartSpec]] = {"q": PartSpec(optimizer="adam", options={"lr": 1e-4}, clip_norm=10.0)}

    def __init__(self, network: nn.Module, gamma: float, tau: float, target_update_interval: int, loss: str) -> None:
        super().__init__()
        self.network = network
        self.target = copy.deepcopy(network).requires_grad_(False)
        self.gamma = gamma
        self.tau = tau
        self.target_update_interval = target_update_interval
        self.objective = nn.SmoothL1Loss() if loss == "huber" else nn.MSELoss()
        self.player: Player | None = None

    def parts(self) -> dict[str, Any]:
        return {"q": self.network.parameters()}

    def steps(self, batch: Batch) -> Steps:
        if batch.target_due:
            self.follow()
        if "action" in batch:
            with torch.no_grad():
                y = td_target(batch.reward, batch.terminated, self.target(batch.next_observation), self.gamma)  # (B,)
            q = self.network(batch.observation).gather(1, batch.action.unsqueeze(1)).squeeze(1)  # (B,)
            yield Step("q", self.objective(q, y), {"q": q.detach().mean(), "rollout/ep_rew_mean": batch.recent_return})

    @torch.no_grad()
    def follow(self) -> None:
        r"""Move the target: :math:`\theta^- \leftarrow \tau\,\theta + (1 - \tau)\,\theta^-`."""
        for mine, theirs in zip(self.target.parameters(), self.network.parameters()):
            mine.lerp_(theirs, self.tau)

    def extra_state(self) -> dict[str, Any]:
        return {} if self.player is None else self.player.get_state()

    def load_extra_state(self, state: dict[str, Any]) -> None:
        if self.player is not None and state:
            self.player.set_state(state)


class Player:
    """Batches for the engine: plays ``train_freq`` steps, then gives ``gradient_steps`` replayed batches.

    It has no length: the trainer stops at its limit of environment steps. All its state, the open episode included, is saved
    with the checkpoint through the learner.
    """

    def __init__(self, agent: DQN, play: Interaction, learner: DQNLearner, last_step: int) -> None:
        self.agent = agent
        self.play = play
        self.learner = learner
        self.last_step = last_step
        self.streams = Streams(agent.seed_)
        shape = play.env.observation_space.shape or ()
        self.buffer = ReplayBuffer(int(agent.buffer_size), shape, (), play.env.observation_space.dtype, np.int64)
        self.n_steps = 0
        self.n_batches = 0
        self.pending = 0  # batches of the present block that are still to come
        self.made = 0  # its steps, booked with its last batch, so that a limit of steps cuts no block short
        self._block = -1
        self._uniforms = np.empty((0, 2))

    def _act(self) -> int:
        block, offset = divmod(self.n_steps, BLOCK)
        if block != self._block:
            self._block, self._uniforms = block, self.streams.numpy("explore", block).random((BLOCK, 2))
        explore, pick = self._uniforms[offset]
        if self.n_steps < self.agent.learning_starts or explore < self.agent.epsilon(self.n_steps):
            return int(pick * self.agent.n_actions_)
        return self.agent.greedy(self.learner.network, self.play.observation)

    def _collect(self) -> tuple[int, bool]:
        """Play a block of steps; return how many, and whether the target network is due."""
        interval = self.learner.target_update_interval
        first = self.n_steps
        for _ in range(min(int(self.agent.train_freq), self.last_step - first)):
            action = self._act()
            observation, _, reward, after, terminated, _ = self.play.step(np.int64(action + self.agent.first_action_))
            self.buffer.add(observation, action, reward, after, terminated)
            self.n_steps += 1
        return self.n_steps - first, self.n_steps // interval > first // interval

    def epoch(self, epoch: int, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Yield batches until the next multiple of :data:`EPOCH_STEPS` environment steps."""
        if world > 1:
            raise CapabilityError("DQN plays one environment in one process; run it with --devices 1.")
        end = min((self.n_steps // EPOCH_STEPS + 1) * EPOCH_STEPS, self.last_step)
        while self.pending or self.n_steps < end:
            due = False
            if not self.pending:
                self.made, due = self._collect()
                self.pending = int(self.agent.gradient_steps) if self.n_steps > self.agent.learning_starts else 1
            self.pending -= 1
            yield self._batch(epoch, 0 if self.pending else self.made, due)

    def _batch(self, epoch: int, made: int, due: bool) -> Batch:
        facts = {"environment_steps": made, "target_due": due}
        if self.n_steps <= self.agent.learning_starts:
            place = Place(self.agent.seed_, epoch, self.n_batches, 1, 0)
            return Batch({"observation": torch.zeros(1), **facts}, place)
        size = int(self.agent.batch_size)
        rows = self.buffer.sample(size, self.streams.numpy("replay", self.n_batches))
        self.n_batches += 1
        recent = self.play.returns[-100:]
        fields = {name: torch.from_numpy(values) for name, values in rows.items()}
        facts["recent_return"] = sum(recent) / len(recent) if recent else 0.0
        return Batch({**fields, **facts}, Place(self.agent.seed_, epoch, self.n_batches, size, 0))

    def get_state(self) -> dict[str, Any]:
        """Return what a resumed run needs."""
        numbers = {name: getattr(self, name) for name in _COUNTERS}
        return {**numbers, "buffer": self.buffer.get_state(), "play": self.play.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`get_state` returned."""
        for name in _COUNTERS:
            setattr(self, name, int(state[name]))
        self.buffer.set_state(state["buffer"])
        self.play.set_state(state["play"])


class DQN(Agent):
    r"""Q-learning with a network, replayed transitions and a target network that is held fixed between copies.

    .. math:: J(\theta) = E\Big[\big(r + \gamma \max_{a'} \hat Q(s', a'; \theta^-) - Q(s, a; \theta)\big)^2\Big]

    with :math:`y = r` where s' is terminal, and the target held constant in the gradient.

    Parameters
    ----------
    env : str, gymnasium.Env or callable, default "CartPole-v1"
        Box observations (vectors, or frames of bytes) and Discrete actions.
    env_options : mapping, optional
        Parameters of the environment.
    hidden_layer_sizes : sequence of int, default (64, 64)
        Of the perceptron for vectors; frames get the convolutions of the paper.
    learning_rate : float > 0, default 1e-4
        Of Adam.
    buffer_size : int >= 1, default 100,000
        Transitions that are kept.
    learning_starts : int >= 0, default 100
        Random steps before learning.
    batch_size : int >= 1, default 32
    gamma : float in [0, 1], default 0.99
    tau : float in (0, 1], default 1
        Share of the network that goes into the target; 1 copies.
    train_freq : int >= 1, default 4
        Environment steps between updates.
    gradient_steps : int >= 1, default 1
        Batches an update.
    target_update_interval : int >= 1, default 10,000
        Environment steps between moves of the target.
    exploration_initial_eps, exploration_final_eps : float in [0, 1], default 1 and 0.05
        Share of random actions, falling linearly over
    exploration_steps : int >= 0, default 10,000
        environment steps.
    max_grad_norm : float > 0, default 10
    loss : {"huber", "squared"}, default "huber"
        Huber's loss clips the error as the Nature paper does; "squared" is the formula above.
    random_state : int, generator or None, default None
    device : str, default "cpu"

    Attributes
    ----------
    learner_ : DQNLearner
    n_steps_ : int
    episode_returns_, episode_lengths_ : arrays (episodes,)
        Of the finished episodes of learning, exploration included.
    history_ : list of dict, one record every 1,000 steps

    Raises
    ------
    InputError
        When a parameter is out of range.
    CapabilityError
        When the environment's spaces do not fit.

    Notes
    -----
    A source's gradient lacks the factor -2; with the target fixed :math:`\nabla J = -2 E[\delta \nabla Q]`. Another leaves
    terminal states and the discount out; both are needed. ``learn`` called again keeps networks and replayed transitions and
    starts the optimizer afresh.

    References
    ----------
    Mnih et al. 2015, "Human-level control through deep reinforcement learning". Spec: 03#dqn, 07#dqn, 08#dqn, 03#deep-q-loss.
    """

    def __init__(
        self,
        env: str | gymnasium.Env[Any, Any] = "CartPole-v1",
        *,
        env_options: Mapping[str, Any] | None = None,
        hidden_layer_sizes: Sequence[int] = (64, 64),
        learning_rate: float = 1e-4,
        buffer_size: int = 100_000,
        learning_starts: int = 100,
        batch_size: int = 32,
        gamma: float = 0.99,
        tau: float = 1.0,
        train_freq: int = 4,
        gradient_steps: int = 1,
        target_update_interval: int = 10_000,
        exploration_initial_eps: float = 1.0,
        exploration_final_eps: float = 0.05,
        exploration_steps: int = 10_000,
        max_grad_norm: float = 10.0,
        loss: str = "huber",
        random_state: Any = None,
        device: str = "cpu",
    ) -> None:
        self.env = env
        self.env_options = env_options
        self.hidden_layer_sizes = hidden_layer_sizes
        self.learning_rate = learning_rate
        self.buffer_size = buffer_size
        self.learning_starts = learning_starts
        self.batch_size = batch_size
        self.gamma = gamma
        self.tau = tau
        self.train_freq = train_freq
        self.gradient_steps = gradient_steps
        self.target_update_interval = target_update_interval
        self.exploration_initial_eps = exploration_initial_eps
        self.exploration_final_eps = exploration_final_eps
        self.exploration_steps = exploration_steps
        self.max_grad_norm = max_grad_norm
        self.loss = loss
        self.random_state = random_state
        self.device = device

    _stored = ("_replay",)

    def _check_params(self) -> None:
        for name in ("gamma", "exploration_initial_eps", "exploration_final_eps"):
            check_number(name, getattr(self, name), 0, 1)
        check_number("tau", self.tau, 0, 1, above=True)
        for name in ("buffer_size", "batch_size", "train_freq", "gradient_steps", "target_update_interval"):
            check_count(name, getattr(self, name))
        for name in ("learning_starts", "exploration_steps"):
            if getattr(self, name) != 0:
                check_count(name, getattr(self, name))
        for name in ("learning_rate", "max_grad_norm"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be above 0, got {getattr(self, name)!r}.")
        if self.loss not in ("huber", "squared"):
            raise InputError(f"loss must be huber or squared, got {self.loss!r}.")

    def _check_spaces(self, env: gymnasium.Env[Any, Any]) -> None:
        from gymnasium.spaces import Box, Discrete

        if not isinstance(env.action_space, Discrete):
            raise CapabilityError(f"DQN chooses among Discrete actions; {env_name(env)} has {env.action_space}.")
        if not isinstance(env.observation_space, Box):
            raise CapabilityError(
                f"DQN reads Box observations; {env_name(env)} has {env.observation_space}. "
                "Use q-learning for counted states, or wrap the environment (FlattenObservation)."
            )

    def epsilon(self, step: int) -> float:
        """Return the share of random actions at an environment step."""
        part = min(1.0, step / self.exploration_steps) if self.exploration_steps else 1.0
        return self.exploration_initial_eps + part * (self.exploration_final_eps - self.exploration_initial_eps)

    def greedy(self, network: nn.Module, observation: Any) -> int:
        """Return the action of the largest value, the first one of equals."""
        with torch.inference_mode():
            row = torch.as_tensor(np.asarray(observation)).unsqueeze(0).to(next(network.parameters()).device)
            return int(network(row).argmax(dim=1))

    def _build(self, shape: Sequence[int]) -> DQNLearner:
        with seeded(Streams(self.seed_), "init"):
            network = observation_network(shape, self.n_actions_, tuple(self.hidden_layer_sizes))
        return DQNLearner(network, self.gamma, self.tau, int(self.target_update_interval), self.loss)

    def learn(self, total_steps: int) -> Self:
        """Play and learn ``total_steps`` more steps.

        Parameters
        ----------
        total_steps : int >= 1

        Returns
        -------
        DQN
            itself
        """
        self._check_params()
        total_steps = check_count("total_steps", total_steps)
        env = self.make_env()
        if not hasattr(self, "learner_"):
            actions: Any = env.action_space
            self.n_actions_, self.first_action_ = int(actions.n), int(actions.start)
            self.observation_shape_ = tuple(env.observation_space.shape or ())
            self.seed_ = Streams.of(self.random_state).seed
            self.n_steps_ = 0
            self.history_: list[dict[str, Any]] = []
            self.learner_ = self._build(self.observation_shape_)
            self._replay: dict[str, Any] | None = None
        play = Interaction(env, Streams(self.seed_))
        player = Player(self, play, self.learner_, self.n_steps_ + total_steps)
        if self._replay is not None:
            player.set_state(self._replay)
        self.learner_.player = player
        trainer = Trainer(
            max_environment_steps=total_steps,
            parts={"q": PartSpec(options={"lr": self.learning_rate}, clip_norm=self.max_grad_norm)},
            seed=Streams(self.seed_).integer("trainer"),
            device=None if self.device == "cpu" else self.device,
        )
        history = trainer.fit(self.learner_, player)
        self.learner_.to("cpu").eval()
        self.history_ = [*self.history_, *history.epochs]
        self.n_steps_ = player.n_steps
        stats = play.stats()
        self.episode_returns_, self.episode_lengths_ = stats.returns, stats.lengths
        self._replay = player.get_state()
        self.learner_.player = None
        if not hasattr(self.env, "step"):
            env.close()
        return self

    def _action(self, observation: Any, deterministic: bool, generator: np.random.Generator) -> Any:
        if np.shape(observation) != self.observation_shape_:
            raise InputError(
                f"This agent reads observations of shape {self.observation_shape_}, got one of {np.shape(observation)}."
            )
        if not deterministic and generator.random() < self.epsilon(self.n_steps_):
            return int(generator.integers(self.n_actions_)) + self.first_action_
        return self.greedy(self.learner_.network, observation) + self.first_action_

    def get_state(self) -> dict[str, Any]:
        """Return parameters, fitted attributes and weights; replayed transitions stay behind."""
        state = super().get_state()
        learner = state["fitted"].pop("learner_", None)
        state["fitted"].pop("_replay", None)
        state["weights"] = None if learner is None else dict(learner.state_dict())
        return state

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Build the agent from what :meth:`get_state` returned."""
        weights = state["weights"]
        self = super().from_state({"params": state["params"], "fitted": state["fitted"]})
        if weights is not None:
            self._replay = None
            self.learner_ = self._build(self.observation_shape_)
            self.learner_.load_state_dict(weights)
            self.learner_.eval()
        return self
