"""Q-learning: off-policy temporal-difference control with a table (Watkins 1989)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fivefold.base.checks import check_count, check_number
from fivefold.base.errors import CapabilityError, InputError
from fivefold.base.random import Streams

from ._kernels import choose, epsilon_at, learn_from_model, update
from .base import Agent, EpisodeStats, Interaction, env_name
from .mdp import TabularMDP

if TYPE_CHECKING:
    import gymnasium

BLOCK = 65_536
"""Steps whose random numbers are drawn together; a step's numbers depend on its number alone, not on how learning is cut."""

_PLAIN_WRAPPERS = ("TimeLimit", "OrderEnforcing", "PassiveEnvChecker")


class QLearning(Agent):
    r"""Q-learning: learns the value of the best policy while following an ε-greedy one.

    .. math:: Q(s, a) \leftarrow Q(s, a) + \alpha \left[ r + \gamma \max_{a'} Q(s', a') - Q(s, a) \right],
              \qquad Q(\text{terminal}, \cdot) = 0

    It converges to :math:`Q^*` when every pair is visited for ever and the step sizes fall as
    :math:`\alpha / N(s, a)^\omega` with :math:`\tfrac12 < \omega \le 1`; a constant α keeps a residual noise of order
    :math:`\sqrt\alpha`, unless the environment is deterministic, where α = 1 is best.

    Parameters
    ----------
    env : str, gymnasium.Env or callable, default "FrozenLake-v1"
        Environment with Discrete observations and actions.
    env_options : mapping, optional
        Parameters of the environment, for example ``{"is_slippery": False}``.
    gamma : float in [0, 1], default 0.99
        Discount a step.
    learning_rate : float in (0, 1], default 0.1
        Step size α at the first visit of a pair.
    visit_power : float in [0, 1], default 0
        ω above: the step size is ``learning_rate / visits**visit_power``; 0 keeps it constant.
    exploration_initial_eps, exploration_final_eps : float in [0, 1], default 1.0 and 0.05
        Share of random actions at the first step, and from step ``exploration_steps`` on; linear between.
    exploration_steps : int >= 0, default 10,000
    initial_value : float, default 0
        Value of pairs before their first visit; above the true values it makes the agent try everything.
    simulation : "auto" (default), "model" or "environment"
        Where steps come from. "model" reads the transition table that Gymnasium's toy texts carry and plays it in
        compiled code: the same law, some hundred times faster, with random numbers of its own. "environment" calls
        ``env.step``. "auto" takes the table for Gymnasium's own toy texts, whose steps follow it, else the environment.
    random_state : int, optional

    Attributes
    ----------
    q_table_ : float64 (states, actions)
        Terminal states keep ``initial_value``, they are never updated; behind the end the value is 0 whatever stands there.
    visits_ : int64 (states, actions)
    n_steps_ : int
    episode_returns_, episode_lengths_ : arrays (episodes,)
        Of the finished episodes of learning, exploration included.
    simulation_ : "model" or "environment"

    Notes
    -----
    An episode that a time limit cuts off is bootstrapped from its last observation; it has not ended. ``learn(n)`` twice
    equals ``learn(2n)``, also with saving and loading in between. Smaller α is more cautious against noise; it is no cure for
    the overestimation of the maximum, which double Q-learning addresses.

    References
    ----------
    Watkins 1989; Watkins & Dayan 1992; Even-Dar & Mansour 2003; Sutton & Barto 2018 ch. 6.5; spec ``03#q-learning``,
    ``07#q-learning``, ``08#sarsa``.
    """

    def __init__(
        self,
        env: str | gymnasium.Env[Any, Any] = "FrozenLake-v1",
        *,
        env_options: Mapping[str, Any] | None = None,
        gamma: float = 0.99,
        learning_rate: float = 0.1,
        visit_power: float = 0.0,
        exploration_initial_eps: float = 1.0,
        exploration_final_eps: float = 0.05,
        exploration_steps: int = 10_000,
        initial_value: float = 0.0,
        simulation: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.env = env
        self.env_options = env_options
        self.gamma = gamma
        self.learning_rate = learning_rate
        self.visit_power = visit_power
        self.exploration_initial_eps = exploration_initial_eps
        self.exploration_final_eps = exploration_final_eps
        self.exploration_steps = exploration_steps
        self.initial_value = initial_value
        self.simulation = simulation
        self.random_state = random_state

    def _check_params(self) -> None:
        check_number("gamma", self.gamma, 0, 1)
        check_number("learning_rate", self.learning_rate, 0, 1, above=True)
        check_number("visit_power", self.visit_power, 0, 1)
        check_number("exploration_initial_eps", self.exploration_initial_eps, 0, 1)
        check_number("exploration_final_eps", self.exploration_final_eps, 0, 1)
        if self.exploration_steps != 0:
            check_count("exploration_steps", self.exploration_steps)
        if not np.isfinite(self.initial_value):
            raise InputError(f"initial_value must be finite, got {self.initial_value!r}.")
        if self.simulation not in ("auto", "model", "environment"):
            raise InputError(f"simulation must be one of auto, model, environment; got {self.simulation!r}.")

    def _check_spaces(self, env: gymnasium.Env[Any, Any]) -> None:
        from gymnasium.spaces import Discrete

        for what, space in (("observations", env.observation_space), ("actions", env.action_space)):
            if not isinstance(space, Discrete):
                raise CapabilityError(
                    f"QLearning keeps a table and needs Discrete {what}; {env_name(env)} has {space}. "
                    "Use dqn, or wrap the environment so that it counts its states."
                )

    def learn(self, total_steps: int) -> Self:
        """Play and learn ``total_steps`` more steps.

        Parameters
        ----------
        total_steps : int >= 1

        Returns
        -------
        QLearning
            itself

        Raises
        ------
        InputError
            When a parameter is out of range.
        CapabilityError
            When the environment is not discrete, or carries no table for ``simulation="model"``.
        """
        self._check_params()
        total_steps = check_count("total_steps", total_steps)
        env = self.make_env()
        if not hasattr(self, "q_table_"):
            self._begin(env)
        play = self._play_model if self.simulation_ == "model" else self._play_environment
        play(env, total_steps)
        if not hasattr(self.env, "step"):
            env.close()
        return self

    def _begin(self, env: gymnasium.Env[Any, Any]) -> None:
        seen: Any = env.observation_space
        done: Any = env.action_space
        states, actions = int(seen.n), int(done.n)
        self.first_state_, self.first_action_ = int(seen.start), int(done.start)
        self.seed_ = Streams.of(self.random_state).seed
        self.q_table_ = np.full((states, actions), float(self.initial_value))
        self.visits_ = np.zeros((states, actions), dtype=np.int64)
        self.n_steps_ = 0
        self.simulation_ = self.simulation
        if self.simulation == "auto":
            self.simulation_ = "model" if _follows_table(env) else "environment"
        self.episode_returns_ = np.empty(0)
        self.episode_lengths_ = np.empty(0, dtype=np.int64)
        self.open_: dict[str, Any] | None = None  # the episode in progress

    def _uniforms(self, steps: int) -> list[np.ndarray]:
        """Return uniform numbers (·, 4) for the next ``steps`` steps, in blocks."""
        streams, first, parts = Streams(self.seed_), self.n_steps_, []
        while steps:
            block, offset = divmod(first, BLOCK)
            count = min(steps, BLOCK - offset)
            parts.append(streams.numpy("step", block).random((offset + count, 4))[offset:])
            first, steps = first + count, steps - count
        return parts

    def _play_model(self, env: gymnasium.Env[Any, Any], total_steps: int) -> None:
        mdp = TabularMDP.from_env(env)
        cumulative, start = np.cumsum(mdp.probability, axis=2), np.cumsum(mdp.start)
        # Rounding must not let a draw pass the last outcome that can happen.
        remaining = np.cumsum(mdp.probability[:, :, ::-1], axis=2)[:, :, ::-1]  # (S, A, m), this outcome included
        cumulative[remaining <= mdp.probability] = 2.0
        start[np.flatnonzero(mdp.start)[-1] :] = 2.0
        if self.open_ is None:
            first = int(np.searchsorted(start, Streams(self.seed_).numpy("start").random(), side="right"))
            self.open_ = {"state": first, "length": 0, "gained": 0.0}
        for uniforms in self._uniforms(total_steps):
            state, length, gained, returns, lengths, _ = learn_from_model(
                self.q_table_,
                self.visits_,
                cumulative,
                mdp.next_state,
                mdp.reward,
                mdp.terminal,
                start,
                mdp.limit,
                uniforms,
                self.n_steps_,
                float(self.exploration_initial_eps),
                float(self.exploration_final_eps),
                int(self.exploration_steps),
                float(self.learning_rate),
                float(self.visit_power),
                float(self.gamma),
                self.open_["state"],
                self.open_["length"],
                self.open_["gained"],
            )
            self.open_ = {"state": int(state), "length": int(length), "gained": float(gained)}
            self.n_steps_ += len(uniforms)
            self.episode_returns_ = np.concatenate([self.episode_returns_, returns])
            self.episode_lengths_ = np.concatenate([self.episode_lengths_, lengths])

    def _play_environment(self, env: gymnasium.Env[Any, Any], total_steps: int) -> None:
        play = Interaction(env, Streams(self.seed_))
        if self.open_ is not None:
            play.set_state(self.open_)
        schedule = (self.exploration_initial_eps, self.exploration_final_eps, int(self.exploration_steps))
        rates = (float(self.gamma), float(self.learning_rate), float(self.visit_power))
        q, visits = self.q_table_, self.visits_
        for uniforms in self._uniforms(total_steps):
            for explore, pick in uniforms[:, :2].tolist():
                state = int(play.observation) - self.first_state_
                action = choose(q[state], epsilon_at(self.n_steps_, *schedule), explore, pick)
                _, _, reward, after, terminated, _ = play.step(action + self.first_action_)
                update(q, visits, state, action, reward, int(after) - self.first_state_, terminated, *rates)
                self.n_steps_ += 1
        stats: EpisodeStats = play.stats()
        self.episode_returns_, self.episode_lengths_ = stats.returns, stats.lengths
        self.open_ = play.get_state()

    def _action(self, observation: Any, deterministic: bool, generator: np.random.Generator) -> Any:
        state = int(observation) - self.first_state_
        if not 0 <= state < len(self.q_table_):
            raise InputError(
                f"The observation {observation!r} is no state of the table, which has {self.first_state_} to "
                f"{self.first_state_ + len(self.q_table_) - 1}."
            )
        if deterministic:
            return int(self.q_table_[state].argmax()) + self.first_action_
        epsilon = epsilon_at(
            self.n_steps_, self.exploration_initial_eps, self.exploration_final_eps, int(self.exploration_steps)
        )
        return int(choose(self.q_table_[state], epsilon, generator.random(), generator.random())) + self.first_action_


def _follows_table(env: gymnasium.Env[Any, Any]) -> bool:
    """Whether every step of the environment follows its transition table, and nothing around it changes what is seen."""
    layer: Any = env
    while layer is not layer.unwrapped:
        if type(layer).__name__ not in _PLAIN_WRAPPERS:
            return False
        layer = layer.env
    module = type(layer).__module__
    if not module.startswith("gymnasium.envs.toy_text.") or not hasattr(layer, "initial_state_distrib"):
        return False
    # A fickle passenger changes the destination outside of the table.
    return not getattr(layer, "fickle_passenger", False)
