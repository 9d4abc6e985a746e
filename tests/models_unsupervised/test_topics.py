"""Refusals, warnings and helpers of the topic models."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.errors import FivefoldError
from fivefold.models.unsupervised import LatentDirichletAllocation, ProbabilisticLSA

X = np.random.default_rng(0).poisson(2.0, size=(12, 4)).astype(float)


@pytest.mark.parametrize(
    ("model", "data", "text"),
    [
        (LatentDirichletAllocation(2), -X, "Negative values in data passed to LatentDirichletAllocation; give counts"),
        (LatentDirichletAllocation(0), X, "`n_components` is 0; give a whole number >= 1."),
        (LatentDirichletAllocation(2, learning_method="gibbs"), X, "`learning_method` is 'gibbs'; give one of 'batch'"),
        (LatentDirichletAllocation(2, doc_topic_prior=0.0), X, "`doc_topic_prior` is 0.0; give a number > 0."),
        (LatentDirichletAllocation(2, topic_word_prior=-1.0), X, "`topic_word_prior` is -1.0; give a number > 0."),
        (LatentDirichletAllocation(2, learning_decay=0.5), X, "`learning_decay` is 0.5; give a number > 0.5 and <= 1."),
        (LatentDirichletAllocation(2, learning_offset=-1.0), X, "`learning_offset` is -1.0; give a number > -1."),
        (LatentDirichletAllocation(2, max_iter=0), X, "`max_iter` is 0; give a whole number >= 1."),
        (LatentDirichletAllocation(2, mean_change_tol=-1.0), X, "`mean_change_tol` is -1.0; give a number >= 0."),
        (
            LatentDirichletAllocation(2, max_doc_update_iter=0),
            X,
            "`max_doc_update_iter` is 0; give a whole number >= 1.",
        ),
        (
            LatentDirichletAllocation(2, init=X),
            X,
            "`init` has the shape (12, 4); give finite numbers > 0 of the shape (2, 4).",
        ),
        (LatentDirichletAllocation(2, init="svd"), X, "`init` is 'svd'; give one of 'random'."),
        (LatentDirichletAllocation(2, learning_method="online", batch_size=0), X, "`batch_size` is 0; give a whole"),
        (
            ProbabilisticLSA(2),
            -X,
            "Negative values in data passed to ProbabilisticLSA; give counts of terms, all >= 0.",
        ),
        (
            ProbabilisticLSA(2),
            0 * X,
            "X holds no words, so there are no topics; give documents with counts above zero.",
        ),
        (ProbabilisticLSA(0), X, "`n_components` is 0; give a whole number >= 1."),
        (
            ProbabilisticLSA(2, init=np.zeros((2, 4))),
            X,
            "give finite numbers >= 0 of the shape (2, 4), no row all zero.",
        ),
        (ProbabilisticLSA(2, tol=-1.0), X, "`tol` is -1.0; give a number >= 0."),
        (ProbabilisticLSA(2, max_iter=0), X, "`max_iter` is 0; give a whole number >= 1."),
    ],
)
def test_what_cannot_be_fitted_is_refused(model, data, text) -> None:
    with pytest.raises(FivefoldError, match=re.escape(text)):
        model.fit(data)


@pytest.mark.parametrize(
    "model", [LatentDirichletAllocation(2, max_iter=2, tol=1e-12), ProbabilisticLSA(2, max_iter=2, tol=1e-12)]
)
def test_stopping_too_early_is_said(model) -> None:
    with pytest.warns(ConvergenceWarning, match="raise `max_iter` or `tol`"):
        model.fit(X)


@pytest.mark.parametrize(
    "model", [LatentDirichletAllocation(2, random_state=0), ProbabilisticLSA(2, tol=1e-2, random_state=0)]
)
def test_documents_without_words_and_terms_of_topics(model) -> None:
    model.fit(sparse.csr_array(X))
    with pytest.raises(FivefoldError, match="no perplexity a word"):
        model.perplexity(0 * X)
    words = model.top_terms(["a", "b", "c", "d"], 2)
    assert [len(row) for row in words] == [2, 2]
    assert words[0][0] == "abcd"[int(model.components_[0].argmax())]
    with pytest.raises(FivefoldError, match="`vocabulary` has 1 terms; the counts have 4 columns."):
        model.top_terms(["a"])


def test_repeated_entries_are_added_up_and_left_as_they_were() -> None:
    twice = sparse.csr_array((np.array([1.0, 2.0, 3.0]), np.array([0, 0, 1]), np.array([0, 3])), shape=(1, 2))
    found = ProbabilisticLSA(1).fit(twice).components_
    np.testing.assert_allclose(found, [[0.5, 0.5]], atol=1e-15)
    assert twice.nnz == 3


def test_an_unknown_term_has_no_likelihood_but_folds_in() -> None:
    model = ProbabilisticLSA(2, tol=1e-2, random_state=0).fit(np.c_[X, np.zeros(12)])
    new = np.array([[1.0, 0.0, 0.0, 0.0, 5.0]])
    np.testing.assert_allclose(model.transform(new).sum(), 1.0, atol=1e-12)
    with pytest.raises(FivefoldError, match="Column 4 of X holds words that no training document holds"):
        model.score(new)


def test_online_batches_must_be_of_a_size() -> None:
    with pytest.raises(FivefoldError, match="`total_samples` is 0; give a whole number >= 1."):
        LatentDirichletAllocation(2, total_samples=0).partial_fit(X)
