"""The ground floor: errors, names, cards, random streams, persistence, estimator protocol and JIT."""
