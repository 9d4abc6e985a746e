"""Topic models: bounds and updates by hand, planted topics, scikit-learn from the same start, factors of KL-NMF."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
from scipy import sparse
from scipy.special import gammaln, psi

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest


def _documents(n: int, seed: str, alpha: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Return counts (n, 25) of the ten bars of a 5 x 5 grid, and the bars (10, 25) as distributions over the cells."""
    rng = Streams(8).numpy(seed)
    grid = np.arange(25).reshape(5, 5)
    bars = np.zeros((10, 25))
    for j in range(5):
        bars[j, grid[j]] = bars[5 + j, grid[:, j]] = 0.2
    theta = rng.dirichlet(np.full(10, alpha), size=n)
    return np.array([rng.multinomial(100, p) for p in theta @ bars]).astype(float), bars


def _by_hand(X: np.ndarray, lam: np.ndarray, alpha: float, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return γ (n, k), φ (n, d, k) and exp(E ln β) (k, d) after some steps from ones, written as in the paper."""
    beta = np.exp(psi(lam) - psi(lam.sum(axis=1, keepdims=True)))
    gamma = np.ones((len(X), len(lam)))
    for _ in range(steps + 1):
        theta = np.exp(psi(gamma) - psi(gamma.sum(axis=1, keepdims=True)))
        phi = theta[:, None, :] * beta.T[None]
        phi /= phi.sum(axis=2, keepdims=True)
        last = gamma
        gamma = alpha + (X[:, :, None] * phi).sum(axis=1)
    return last, phi, beta


def _bound_by_hand(X: np.ndarray, gamma: np.ndarray, phi: np.ndarray, lam: np.ndarray, a: float, b: float) -> float:
    """Return the bound term by term: E ln p(w, z, θ, β) - E ln q(z, θ, β)."""
    t = psi(gamma) - psi(gamma.sum(axis=1, keepdims=True))
    w = psi(lam) - psi(lam.sum(axis=1, keepdims=True))

    def dirichlet(logs: np.ndarray, parameters: np.ndarray) -> float:
        log_norm = gammaln(parameters.sum(axis=1)) - gammaln(parameters).sum(axis=1)
        return float((log_norm + ((parameters - 1) * logs).sum(axis=1)).sum())

    words = (X[:, :, None] * phi * (t[:, None, :] + w.T[None] - np.log(phi))).sum()
    documents = dirichlet(t, np.full_like(gamma, a)) - dirichlet(t, gamma)
    return float(words + documents + dirichlet(w, np.full_like(lam, b)) - dirichlet(w, lam))


@evidence(
    "latent-dirichlet-allocation",
    claim="One pass and the bound, in batches and online, equal the paper's equations summed in full",
    against="the equations by hand",
)
def lda_by_hand() -> Check:
    from fivefold.models.unsupervised import LatentDirichletAllocation
    from fivefold.models.unsupervised._topics import digamma

    rng = Streams(8).numpy("hand")
    X = rng.poisson(0.8, size=(7, 6)).astype(float)
    X[2] = 0.0
    start = rng.gamma(2.0, size=(3, 6)) + 0.1
    common = {"doc_topic_prior": 0.3, "topic_word_prior": 0.7, "mean_change_tol": 0.0, "max_doc_update_iter": 4}
    model = LatentDirichletAllocation(3, init=start, max_iter=1, **common).fit(sparse.csr_array(X))
    gamma, phi, _ = _by_hand(X, start, 0.3, 4)
    lam = 0.7 + np.einsum("nd,ndk->kd", X, phi)
    worst = float(np.abs(model.components_ - lam).max())
    worst = largest(worst, abs(model.bound_path_[0] - _bound_by_hand(X, gamma, phi, start, 0.3, 0.7)))
    worst = largest(
        worst, float(model.n_iter_ != 1 or len(model.bound_path_) != 2 or model.bound_ != model.bound_path_[1])
    )
    new_gamma, new_phi, _ = _by_hand(X, lam, 0.3, 4)
    worst = largest(worst, abs(model.score(X) - _bound_by_hand(X, new_gamma, new_phi, lam, 0.3, 0.7)))
    worst = largest(worst, abs(np.log(model.perplexity(X)) + model.score(X) / X.sum()))
    worst = largest(worst, float(np.abs(model.transform(X) - new_gamma / new_gamma.sum(axis=1, keepdims=True)).max()))
    worst = largest(worst, float(np.abs(model.transform(X)[2] - 1 / 3).max()))
    online = {**common, "init": start, "batch_size": 4, "learning_decay": 0.8, "learning_offset": 3.0}
    steps = LatentDirichletAllocation(3, learning_method="online", max_iter=2, **online).fit(X)
    parts = LatentDirichletAllocation(3, total_samples=50, **online).partial_fit(X)
    for found, total, passes in ((steps, 7, 2), (parts, 50, 1)):
        lam, t = start.copy(), 1
        for _, rows in itertools.product(range(passes), (X[:4], X[4:])):
            _, phi, _ = _by_hand(rows, lam, 0.3, 4)
            rate = (3.0 + t) ** -0.8
            lam = (1 - rate) * lam + rate * (0.7 + total / len(rows) * np.einsum("nd,ndk->kd", rows, phi))
            t += 1
        worst = largest(worst, float(np.abs(found.components_ - lam).max()), float(found.n_batch_iter_ != t))
    x = np.r_[np.geomspace(1e-3, 1e6, 200), 1.0, 0.5]
    worst = largest(worst, float(largest(abs(digamma(v) - psi(v)) / np.hypot(1.0, psi(v)) for v in x)))
    stated = {"n_components": 10, "doc_topic_prior": None, "topic_word_prior": None, "learning_method": "batch"}
    stated |= {"learning_decay": 0.7, "learning_offset": 10.0, "max_iter": 10, "batch_size": 128, "tol": 0.0}
    stated |= {"total_samples": 1_000_000, "mean_change_tol": 1e-3, "max_doc_update_iter": 100, "init": "random"}
    worst = largest(worst, float(LatentDirichletAllocation().get_params() != stated | {"random_state": None}))
    default = LatentDirichletAllocation(4, max_iter=1).fit(X)
    worst = largest(worst, abs(default.doc_topic_prior_ - 0.25), abs(default.topic_word_prior_ - 0.25))
    return Check(worst, 1e-10, "largest difference", "the equations by hand")


@evidence(
    "latent-dirichlet-allocation",
    claim="The bound never falls, even from half-settled documents; priors that underflow; stopping by tol",
    against="theorem",
)
def lda_monotone() -> Check:
    from fivefold.models.unsupervised import LatentDirichletAllocation

    X, _ = _documents(80, "monotone")
    worst = 0.0
    for steps, alpha, eta in ((1, None, None), (3, 0.01, 2.0), (100, 1e-3, 1e-3)):
        settings = {"doc_topic_prior": alpha, "topic_word_prior": eta, "max_doc_update_iter": steps}
        path = LatentDirichletAllocation(6, max_iter=60, random_state=1, **settings).fit(X).bound_path_
        worst = largest(
            worst, float(-np.diff(path).min() / abs(path[0])), float(len(path) != 61 or not path[-1] > path[0])
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = LatentDirichletAllocation(6, max_iter=500, tol=1e-4, random_state=1).fit(X)
    rises = np.diff(model.bound_path_) / X.sum()
    worst = largest(worst, float(not rises[-1] <= 1e-4 or (~(rises[:-1] > 1e-4)).any() or model.n_iter_ != len(rises)))
    unseen = np.zeros((1, 26))
    unseen[0, 25] = 3.0
    tiny = LatentDirichletAllocation(6, topic_word_prior=1e-3, random_state=1).fit(np.c_[X, np.zeros(80)])
    worst = largest(worst, float(not np.isfinite(tiny.score(unseen))), float(np.abs(tiny.transform(unseen).sum() - 1)))
    return Check(worst, 1e-12, "largest fall of the bound", "theorem")


@evidence(
    "latent-dirichlet-allocation",
    claim="Recovers the ten bars that made the documents, both ways",
    against="planted topics",
)
def lda_planted() -> Check:
    from scipy.optimize import linear_sum_assignment

    from fivefold.models.unsupervised import LatentDirichletAllocation

    X, bars = _documents(1000, "planted")
    worst = 0.0
    for method, passes in (("batch", 60), ("online", 30)):
        runs = [
            LatentDirichletAllocation(
                10, learning_method=method, max_iter=passes, doc_topic_prior=0.1, random_state=s
            ).fit(sparse.csr_array(X))
            for s in range(3)
        ]
        best = max(runs, key=lambda run: run.bound_)
        topics = best.components_ / best.components_.sum(axis=1, keepdims=True)
        cost = np.abs(topics[:, None] - bars).sum(axis=2) / 2
        rows, columns = linear_sum_assignment(cost)
        worst = largest(worst, float(cost[rows, columns].max()))
    # A bar is estimated from some 10,000 words: its cells deviate by about one percent of their sum.
    return Check(worst, 0.05, "largest total variation of a topic", "planted topics")


@evidence(
    "latent-dirichlet-allocation",
    claim="Inference, bound, perplexity and updates from one start equal scikit-learn's",
    against="scikit-learn LatentDirichletAllocation",
)
def same_lda() -> Check:
    from sklearn.decomposition import LatentDirichletAllocation as Peer

    from fivefold.models.unsupervised import LatentDirichletAllocation

    X, _ = _documents(120, "peer")
    X[5] = 0.0
    start = Streams(8).numpy("peer-start").gamma(100.0, 0.01, size=(7, 25))
    peer = Peer(7, max_iter=1, random_state=0, total_samples=300, batch_size=50).fit(X)
    ours = LatentDirichletAllocation(7, init=start, max_iter=1, total_samples=300, batch_size=50).partial_fit(X)

    def put(lam: np.ndarray) -> None:
        peer.components_ = lam
        peer.exp_dirichlet_component_ = np.exp(psi(lam) - psi(lam.sum(axis=1, keepdims=True)))

    put(start)
    peer.n_batch_iter_ = 1
    for rows in (X[:50], X[50:100], X[100:]):
        # The peer draws the start of its documents; asked for none it takes ones as we do.
        _, expected = peer._e_step(rows, cal_sstats=True, random_init=False)
        rate = (peer.learning_offset + peer.n_batch_iter_) ** -peer.learning_decay
        put((1 - rate) * peer.components_ + rate * (1 / 7 + 300 / len(rows) * expected))
        peer.n_batch_iter_ += 1
    worst = float(np.abs(ours.components_ / peer.components_ - 1).max())
    put(ours.components_)
    worst = largest(worst, float(np.abs(ours.transform(X) - peer.transform(X)).max()))
    worst = largest(worst, abs(ours.score(X) / peer.score(X) - 1), abs(ours.perplexity(X) / peer.perplexity(X) - 1))
    # The peer cuts the series of its digamma at 6 after the sixth power: 2.5e-9 in every exponent, over some tens of steps.
    return Check(worst, 5e-7, "largest difference", "scikit-learn")


@evidence(
    "probabilistic-lsa",
    claim="One EM step and its likelihood equal the full posterior of every topic, term and document",
    against="the equations by hand",
)
def plsa_by_hand() -> Check:
    from fivefold.models.unsupervised import ProbabilisticLSA

    rng = Streams(8).numpy("plsa")
    X = rng.poisson(1.0, size=(6, 5)).astype(float)
    X[1] = 0.0
    start = rng.dirichlet(np.ones(5), size=3)
    model = ProbabilisticLSA(3, init=7 * start, max_iter=1, tol=0.0).fit(sparse.csr_array(X))
    theta, beta = np.full((6, 3), 1 / 3), start
    known = []
    for _ in range(2):
        joint = theta[:, None, :] * beta.T[None]  # (n, d, k)
        known.append(float((X * np.log(joint.sum(axis=2))).sum()))
        expected = X[:, :, None] * joint / joint.sum(axis=2, keepdims=True)
        seen = X.sum(axis=1, keepdims=True)
        theta = np.where(seen > 0, expected.sum(axis=1) / np.where(seen > 0, seen, 1), 1 / 3)
        beta = (expected.sum(axis=0) / expected.sum(axis=(0, 1))).T
        if len(known) == 1:
            worst = float(np.abs(model.components_ - beta).max())
    worst = largest(worst, float(np.abs(model.loglik_path_ - known).max()), float(model.n_iter_ != 1))
    # Folding in: with the topics fixed the likelihood of a document is concave; its mixture is the best of many.
    mixture = model.transform(X)
    worst = largest(worst, float(np.abs(mixture[1] - 1 / 3).max()), float(np.abs(mixture.sum(axis=1) - 1).max()))
    others = rng.dirichlet(np.full(3, 0.5), size=(6, 300))
    near = 0.999 * mixture[:, None] + 0.001 * others
    for tried in (others, near):
        rise = (X[:, None] * np.log(tried @ model.components_)).sum(axis=2) - (
            X * np.log(mixture @ model.components_)
        ).sum(axis=1)[:, None]
        worst = largest(worst, float(rise.max()) / 1e3)
    loglik = float((X * np.log(mixture @ model.components_)).sum())
    worst = largest(worst, abs(model.score(X) - loglik) / 10, abs(np.log(model.perplexity(X)) + loglik / X.sum()) / 10)
    stated = {"n_components": 10, "max_iter": 200, "tol": 1e-5, "init": "random", "random_state": None}
    worst = largest(worst, float(ProbabilisticLSA().get_params() != stated))
    return Check(worst, 1e-11, "largest difference", "the equations by hand")


@evidence("probabilistic-lsa", claim="The likelihood never falls, from any start; stopping by tol", against="theorem")
def plsa_monotone() -> Check:
    from fivefold.models.unsupervised import ProbabilisticLSA

    X, bars = _documents(150, "plsa-monotone")
    worst = 0.0
    for topics, seed in ((1, 0), (4, 1), (10, 2)):
        path = ProbabilisticLSA(topics, max_iter=150, tol=0.0, random_state=seed).fit(X).loglik_path_
        worst = largest(worst, float(-np.diff(path).min() / abs(path[0])), float(len(path) != 151))
    one = ProbabilisticLSA(1, random_state=0).fit(X).components_[0]
    worst = largest(worst, float(np.abs(one - X.sum(axis=0) / X.sum()).max()))
    model = ProbabilisticLSA(4, tol=1e-4, random_state=1).fit(X)
    rises = np.diff(model.loglik_path_) / X.sum()
    worst = largest(worst, float(not rises[-1] <= 1e-4 or (~(rises[:-1] > 1e-4)).any() or model.n_iter_ != len(rises)))
    # The planted bars are a fixed direction: from near them EM stays near, at no lower likelihood.
    near = ProbabilisticLSA(10, init=0.9 * bars + 0.1 / 25, random_state=0).fit(X)
    worst = largest(worst, float(not np.abs(near.components_ - bars).sum(axis=1).max() / 2 <= 0.1))
    return Check(worst, 1e-12, "largest fall", "theorem")


@evidence(
    "probabilistic-lsa",
    claim="EM is KL-NMF on the same counts with both factors updated at once: equal factors and objective after every step",
    against="scikit-learn NMF (Kullback-Leibler)",
)
def plsa_is_nmf() -> Check:
    from sklearn.decomposition import non_negative_factorization

    from fivefold.models.unsupervised import ProbabilisticLSA

    rng = Streams(8).numpy("nmf")
    X = rng.poisson(2.0, size=(20, 8)) + 0.0
    X[:, 0] += 1.0
    H = rng.dirichlet(np.ones(8), size=3)
    start, mass = H.copy(), X.sum(axis=1, keepdims=True)
    W = np.repeat(mass / 3, 3, axis=1)
    settings = {"n_components": 3, "init": "custom", "beta_loss": "kullback-leibler", "solver": "mu", "max_iter": 1}
    worst = 0.0
    for step in range(1, 26):
        with warnings.catch_warnings():
            # One step on purpose. The peer moves its first factor first: from the old ones.
            warnings.simplefilter("ignore")
            new_w, _, _ = non_negative_factorization(X, W.copy(), H.copy(), **settings)
            new_h, _, _ = non_negative_factorization(X.T.copy(), H.T.copy(), W.T.copy(), **settings)
        W, H = new_w, new_h.T / new_h.sum(axis=0)[:, None]
        model = ProbabilisticLSA(3, init=start, max_iter=step, tol=0.0).fit(X)
        worst = largest(worst, float(np.abs(model.components_ - H).max()))
        F = W @ H
        divergence = float((X * np.log(np.where(X > 0, X, 1.0) / F)).sum() - X.sum() + F.sum())
        entropy = float((X * np.log(np.where(X > 0, X / mass, 1.0))).sum())
        worst = largest(worst, abs(divergence - (entropy - model.loglik_path_[-1])) / X.sum())
    # The peer divides by at least 1e-7 and adds nothing where products are larger, as they are here.
    return Check(worst, 1e-12, "largest difference", "scikit-learn NMF")
