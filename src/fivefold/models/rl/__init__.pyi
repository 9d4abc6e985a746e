# Written by tools/stubs.py from the cards; `make stubs` renews it.
from fivefold.models.rl.dqn import DQN as DQN
from fivefold.models.rl.q_learning import QLearning as QLearning
