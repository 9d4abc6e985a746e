"""The base of agents, tabular MDPs and Q-learning: refusals, resuming, evaluation."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

import fivefold
from fivefold.base.errors import CapabilityError, DataError, InputError, InputTypeError, UnknownNameError
from fivefold.base.estimator import NotFittedError
from fivefold.base.random import Streams
from fivefold.models.rl.base import EpisodeStats, Interaction, make_env
from fivefold.models.rl.mdp import TabularMDP
from fivefold.models.rl.q_learning import QLearning


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        ({"gamma": 1.5}, InputError, "gamma must be a finite number >= 0 and <= 1, got 1.5"),
        ({"learning_rate": 0.0}, InputError, "learning_rate must be a finite number > 0 and <= 1"),
        ({"visit_power": -1}, InputError, "visit_power must be a finite number >= 0 and <= 1"),
        ({"exploration_final_eps": "low"}, InputError, "exploration_final_eps must be a finite number >= 0 and <= 1"),
        ({"exploration_steps": -3}, InputError, "exploration_steps must be a whole number >= 1"),
        ({"initial_value": np.inf}, InputError, "initial_value must be finite"),
        ({"simulation": "fast"}, InputError, "simulation must be one of auto, model, environment"),
        ({"env": "CartPole-v1"}, CapabilityError, "needs Discrete observations; CartPole-v1 has Box"),
        ({"env": "FrozenLike-v1"}, UnknownNameError, "did you mean one of: FrozenLake-v1"),
        ({"env": "os:FrozenLake-v1"}, InputError, "names a module; import it first"),
        ({"env": 3}, InputTypeError, "env must be the id of a Gymnasium environment"),
        ({"env": lambda: 3}, InputTypeError, "must return a gymnasium.Env; it returned 3"),
        ({"env_options": {"size": 3}}, InputError, "does not accept env_options={'size': 3}"),
    ],
)
def test_bad_parameters_are_refused_in_a_sentence(params: dict, error, words: str) -> None:
    with pytest.raises(error) as caught:
        QLearning(**params).learn(5)
    assert words in str(caught.value)


def test_other_refusals() -> None:
    with pytest.raises(NotFittedError, match="has not learned yet; call `learn"):
        QLearning().act(0)
    with pytest.raises(NotFittedError, match="has not learned yet"):
        QLearning().evaluate()
    with pytest.raises(InputError, match="total_steps must be a whole number >= 1, got 0"):
        QLearning().learn(0)
    agent = QLearning(random_state=0).learn(10)
    with pytest.raises(InputError, match="episodes must be a whole number >= 1"):
        agent.evaluate(episodes=0)
    with pytest.raises(InputError, match="The observation 16 is no state of the table"):
        agent.act(16)
    env = gymnasium.make("CartPole-v1")
    with pytest.raises(CapabilityError, match="carries no transition table"):
        TabularMDP.from_env(env)
    with pytest.raises(InputError, match="env_options go with the id"):
        make_env(env, {"a": 1})
    with pytest.raises(DataError, match="state 1, action 0 must have probabilities"):
        TabularMDP(np.array([[[1.0]], [[0.5]]]), *(np.zeros((2, 1, 1), int),) * 3, start=np.array([1.0, 0.0]))
    with pytest.raises(DataError, match="The first states must have probabilities"):
        TabularMDP(np.ones((2, 1, 1)), *(np.zeros((2, 1, 1), int),) * 3, start=np.array([1.0, 1.0]))


def test_the_table_is_simulated_only_where_steps_follow_it() -> None:
    assert QLearning(random_state=0).learn(5).simulation_ == "model"
    assert (
        QLearning("Taxi-v4", env_options={"fickle_passenger": True}, random_state=0).learn(5).simulation_
        == "environment"
    )
    wrapped = gymnasium.wrappers.TransformReward(gymnasium.make("FrozenLake-v1"), lambda r: r - 1)
    assert QLearning(wrapped, random_state=0).learn(5).simulation_ == "environment"

    class Mine(gymnasium.envs.toy_text.frozen_lake.FrozenLakeEnv):
        pass

    assert QLearning(Mine(), random_state=0).learn(5).simulation_ == "environment"


def test_an_environment_object_is_saved_as_its_id(tmp_path) -> None:
    env = gymnasium.make("FrozenLake-v1", is_slippery=False)
    agent = QLearning(env, random_state=0).learn(2000)
    agent.save(tmp_path / "agent")
    again = fivefold.load(tmp_path / "agent")
    assert again.env == "FrozenLake-v1" and again.env_options["is_slippery"] is False
    assert again.evaluate(3).returns.tolist() == agent.evaluate(3).returns.tolist()


def test_evaluation_repeats_and_exploration_needs_asking() -> None:
    agent = QLearning(random_state=0).learn(5000)
    first, second = agent.evaluate(20, seed=4), agent.evaluate(20, seed=4)
    assert first.lengths.tolist() == second.lengths.tolist()
    assert agent.evaluate(20, seed=5).lengths.tolist() != first.lengths.tolist()
    roaming = agent.evaluate(20, seed=4, deterministic=False)
    assert roaming.lengths.tolist() == agent.evaluate(20, seed=4, deterministic=False).lengths.tolist()
    best = agent.q_table_[0].argmax()
    draws = {agent.act(0, deterministic=False, generator=np.random.default_rng(i)) for i in range(200)}
    assert agent.act(0) == best and len(draws) > 1


def test_endless_episodes_are_cut_off() -> None:
    agent = QLearning("CliffWalking-v1", random_state=0).learn(1)
    agent.q_table_[:] = 0.0
    agent.q_table_[:, 3] = 1.0  # always left, against the wall
    stats = agent.evaluate(2, max_steps=50)
    assert stats.lengths.tolist() == [50, 50] and stats.truncated.all() and stats.mean == -50.0


def test_stats_of_one_episode_have_no_spread() -> None:
    stats = EpisodeStats(np.array([2.0]), np.array([7]), np.array([False]))
    assert stats.std == 0.0 and "over 1 episodes of 7 steps" in str(stats)


@pytest.mark.parametrize("name", ["CartPole-v1", "FrozenLake-v1"])
def test_an_interaction_resumes_in_the_middle_of_an_episode(name: str) -> None:
    streams = Streams(3)

    def actions(env: gymnasium.Env, count: int, start: int = 0) -> list[int]:
        return [int(Streams(1).integer("a", i) % env.action_space.n) for i in range(start, start + count)]

    env = make_env(name)
    whole = Interaction(env, streams)
    passed = [whole.step(a) for a in actions(env, 60)]
    first = Interaction(make_env(name), streams)
    for a in actions(env, 37):
        first.step(a)
    second = Interaction(make_env(name), streams)
    second.set_state(first.get_state())
    rest = [second.step(a) for a in actions(env, 23, 37)]
    for one, other in zip(passed[37:], rest):
        assert np.array_equal(one.observation, other.observation)
        assert (one.reward, one.terminated, one.truncated) == (other.reward, other.terminated, other.truncated)
    assert whole.returns == second.returns and whole.length == second.length


def test_clones_keep_parameters() -> None:
    from sklearn.base import clone

    agent = QLearning("Taxi-v4", gamma=0.5)
    assert clone(agent).get_params() == agent.get_params()
