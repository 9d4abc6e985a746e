"""What all agents share: environments by name, episodes that can be repeated and resumed, evaluation.

A step that ends an episode either *terminates* it (the environment says that nothing follows: the value of what follows is 0)
or *truncates* it (a time limit cuts it off: the value of the last observation still counts). Agents bootstrap from
``Transition.next_observation`` unless ``terminated``; treating a time limit as an end teaches wrong values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from fivefold.base.checks import check_count
from fivefold.base.errors import CapabilityError, InputError, InputTypeError, UnknownNameError
from fivefold.base.estimator import Estimator, NotFittedError
from fivefold.base.names import nearest
from fivefold.base.random import Streams

if TYPE_CHECKING:
    import gymnasium

MAX_EVALUATION_STEPS = 10_000
"""Steps after which an evaluated episode without a time limit of its own is cut off and marked truncated."""


def make_env(
    env: str | gymnasium.Env[Any, Any] | Callable[[], gymnasium.Env[Any, Any]],
    options: Mapping[str, Any] | None = None,
) -> gymnasium.Env[Any, Any]:
    """Return a Gymnasium environment.

    Parameters
    ----------
    env : str, gymnasium.Env or callable that returns one
        An id such as ``"FrozenLake-v1"``; an environment is returned as it is.
    options : mapping, optional
        Parameters of the environment, for example ``{"is_slippery": False}``; only with an id.

    Raises
    ------
    UnknownNameError
        When no environment has that id; the message offers the nearest.
    InputError
        When the id names a module to import, or the options do not suit the environment.
    InputTypeError
        When ``env`` is something else.
    """
    import gymnasium

    if isinstance(env, gymnasium.Env):
        if options:
            raise InputError("env_options go with the id of an environment; this environment is already made.")
        return env
    if callable(env):
        made = env(**dict(options or {}))
        if not isinstance(made, gymnasium.Env):
            raise InputTypeError(f"The function given as env must return a gymnasium.Env; it returned {made!r}.")
        return made
    if not isinstance(env, str):
        raise InputTypeError(f"env must be the id of a Gymnasium environment or an environment; got {env!r}.")
    if ":" in env:
        # Gymnasium would import the module before the colon; an id can come from a file, and a file never runs code.
        raise InputError(f"The environment id {env!r} names a module; import it first and give the id after the colon.")
    try:
        return gymnasium.make(env, **dict(options or {}))
    except (gymnasium.error.UnregisteredEnv, gymnasium.error.DeprecatedEnv) as error:
        hint = ", ".join(nearest(env, gymnasium.registry))
        raise UnknownNameError(f"No environment has the id {env!r}; did you mean one of: {hint}?") from error
    except gymnasium.error.DependencyNotInstalled as error:
        raise CapabilityError(f"The environment {env} cannot be made: {error}") from error
    except TypeError as error:
        raise InputError(
            f"The environment {env} does not accept env_options={dict(options or {})}: {error}."
        ) from error


def env_name(env: gymnasium.Env[Any, Any]) -> str:
    """Return a name of the environment for messages."""
    return env.spec.id if env.spec is not None else type(env.unwrapped).__name__


class Transition(NamedTuple):
    """One step of an environment."""

    observation: Any
    action: Any
    reward: float
    next_observation: Any
    terminated: bool
    truncated: bool


@dataclass(frozen=True)
class EpisodeStats:
    """Finished episodes: ``returns`` (undiscounted sums of rewards), ``lengths`` in steps, and which were cut off."""

    returns: np.ndarray  # (episodes,)
    lengths: np.ndarray  # (episodes,)
    truncated: np.ndarray  # (episodes,) bool

    @property
    def mean(self) -> float:
        """Mean return of an episode."""
        return float(np.mean(self.returns))

    @property
    def std(self) -> float:
        """Unbiased standard deviation of the return over episodes; 0 for a single one."""
        return float(np.std(self.returns, ddof=1)) if len(self.returns) > 1 else 0.0

    def __str__(self) -> str:
        return f"return {self.mean:.4g} ± {self.std:.3g} over {len(self.returns)} episodes of {self.lengths.mean():.4g} steps"


class Interaction:
    """An environment being played, one step at a time, in a way that can be repeated and resumed.

    Episode k is seeded from ``(seed, name, k)`` alone, so its course depends on the actions only, and an interrupted episode
    is restored by playing its actions again: no environment has to be saved.

    Parameters
    ----------
    env : gymnasium.Env
    streams : Streams
        Randomness of the run.
    name : str, default "episode"
        Tells several interactions of one run apart (workers, evaluation).

    Attributes
    ----------
    observation : what the agent sees now
    episode : int, number of the current episode, from 0
    returns, lengths, cut : lists about the finished episodes
    """

    def __init__(self, env: gymnasium.Env[Any, Any], streams: Streams, name: str = "episode") -> None:
        self.env = env
        self.streams = streams
        self.name = name
        self.returns: list[float] = []
        self.lengths: list[int] = []
        self.cut: list[bool] = []
        self._start(0)

    def _start(self, episode: int) -> None:
        self.episode = episode
        self._actions: list[Any] = []
        self._return = 0.0
        # Gymnasium takes seeds of 32 bits.
        self.observation, _ = self.env.reset(seed=self.streams.integer(self.name, episode) % 2**31)

    @property
    def length(self) -> int:
        """Steps of the current episode so far."""
        return len(self._actions)

    def step(self, action: Any, limit: int | None = None) -> Transition:
        """Play one action; after the end of an episode ``observation`` is already the first of the next one.

        Parameters
        ----------
        action : element of the action space
        limit : int, optional
            Truncate the episode at this many steps, besides the environment's own limit.
        """
        before = self.observation
        after, reward, terminated, truncated, _ = self.env.step(action)
        reward = float(reward)
        self._actions.append(action)
        self._return += reward
        terminated = bool(terminated)
        truncated = not terminated and (bool(truncated) or (limit is not None and self.length >= limit))
        self.observation = after
        if terminated or truncated:
            self.returns.append(self._return)
            self.lengths.append(self.length)
            self.cut.append(truncated)
            self._start(self.episode + 1)
        return Transition(before, action, reward, after, terminated, truncated)

    def stats(self) -> EpisodeStats:
        """Return the finished episodes."""
        return EpisodeStats(np.array(self.returns, float), np.array(self.lengths, int), np.array(self.cut, bool))

    def get_state(self) -> dict[str, Any]:
        """Return plain values that :meth:`set_state` restores, the open episode included."""
        actions = np.array(self._actions) if self._actions else None
        return {
            "episode": self.episode,
            "actions": actions,
            "returns": np.array(self.returns, float),
            "lengths": np.array(self.lengths, int),
            "truncated": np.array(self.cut, bool),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore: the open episode is started with its seed and its actions are played again."""
        self.returns = [float(v) for v in state["returns"]]
        self.lengths = [int(v) for v in state["lengths"]]
        self.cut = [bool(v) for v in state["truncated"]]
        self._start(int(state["episode"]))
        for action in state["actions"] if state["actions"] is not None else ():
            # Scalars of Discrete spaces come back as NumPy integers, which every space contains.
            after, reward, *_ = self.env.step(action)
            self._actions.append(action)
            self._return += float(reward)
            self.observation = after


class Agent(Estimator):
    """Base of every agent: ``learn(total_steps)``, ``act(observation)``, ``evaluate(episodes)``.

    A subclass has at least the parameters ``env``, ``env_options`` and ``random_state`` and writes ``_check_spaces``, ``learn``
    and ``_action``.
    """

    env: Any
    env_options: Mapping[str, Any] | None
    random_state: Any

    def learn(self, total_steps: int) -> Self:
        """Interact for ``total_steps`` more steps and learn from them; called again it goes on where it stopped."""
        raise NotImplementedError

    def _check_spaces(self, env: gymnasium.Env[Any, Any]) -> None:
        """Raise :class:`CapabilityError` when the agent cannot play this environment."""

    def _action(self, observation: Any, deterministic: bool, generator: np.random.Generator) -> Any:
        """Return the action for one observation of a fitted agent."""
        raise NotImplementedError

    def make_env(self) -> gymnasium.Env[Any, Any]:
        """Return the environment of the parameters, checked for this agent."""
        made = make_env(self.env, self.env_options)
        self._check_spaces(made)
        return made

    def act(self, observation: Any, deterministic: bool = True, *, generator: np.random.Generator | None = None) -> Any:
        """Return the action for one observation.

        Parameters
        ----------
        observation : element of the observation space
        deterministic : bool, default True
            Take the best action; otherwise the one that the exploring policy draws.
        generator : numpy Generator, optional
            Where exploration comes from; default: fresh entropy.

        Raises
        ------
        NotFittedError
            Before ``learn``.
        """
        self._check_fitted()
        return self._action(observation, deterministic, np.random.default_rng() if generator is None else generator)

    def evaluate(
        self,
        episodes: int = 10,
        *,
        seed: int = 0,
        deterministic: bool = True,
        env: Any = None,
        max_steps: int | None = None,
    ) -> EpisodeStats:
        """Play whole episodes without learning; the agent stays as it was.

        Parameters
        ----------
        episodes : int >= 1, default 10
        seed : int >= 0, default 0
            Episode k depends on ``(seed, k)`` alone.
        deterministic : bool, default True
            Play the best action; otherwise explore as in learning.
        env : id or environment, optional
            Default: a new one like that of learning.
        max_steps : int >= 1, optional
            Cut episodes at this length; default 10,000 steps, for environments without a limit of their own.

        Returns
        -------
        EpisodeStats
            ``returns``, ``lengths``, ``truncated`` (episodes,), ``mean`` and ``std``.

        Raises
        ------
        NotFittedError
            Before ``learn``.
        InputError
            When ``episodes`` or ``max_steps`` is less than one.
        """
        self._check_fitted()
        check_count("episodes", episodes)
        limit = MAX_EVALUATION_STEPS if max_steps is None else check_count("max_steps", max_steps)
        made = self.make_env() if env is None else make_env(env)
        self._check_spaces(made)
        streams = Streams(seed).child("evaluate")
        generator = streams.numpy("act")
        play = Interaction(made, streams)
        while len(play.returns) < episodes:
            play.step(self._action(play.observation, deterministic, generator), limit)
        if env is None and not hasattr(self.env, "step"):
            made.close()
        return play.stats()

    def get_state(self) -> dict[str, Any]:
        """Return parameters and fitted attributes; an environment is stored as its id and options."""
        state = super().get_state()
        spec = getattr(state["params"].get("env"), "spec", None)
        if spec is not None:
            state["params"]["env"] = spec.id
            state["params"]["env_options"] = dict(spec.kwargs)
        return state

    def _check_fitted(self) -> None:
        if not any(name.endswith("_") and not name.startswith("_") for name in vars(self)):
            raise NotFittedError(f"This {type(self).__name__} has not learned yet; call `learn(total_steps)` first.")
