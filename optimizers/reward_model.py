"""The reward model: which candidates that the record does not support are worth a live attempt.

It learns an episode's value from one state and one option of it, and ranks candidates by the mean over recorded
rounds of what their options are predicted to be worth: one step of the candidate, the rest of the episode as the
behaviour played it. So it orders candidates; it does not estimate them, and nothing that accepts one may read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from optimizers.episode_log import EpisodeLog, Floats, Integers, Target
from optimizers.reward.calibration import Calibration, brier, expected_calibration_error, group_means, rank_correlation
from optimizers.reward.features import Encoder, States, states_of
from optimizers.reward.learners import Learner, Rows, learn, out_of_fold
from optimizers.reward.prediction_log import Prediction, PredictionLog, Trained
from optimizers.reward.question import Extra, Question
from optimizers.reward.rows import TrainingRows, fingerprint_of, training_rows
from signatures.errors import UsageError

_BLOCK: Final = 16_384
"""Rows predicted at once, so that many states with many options need little memory."""


@dataclass(frozen=True)
class RewardModel:
    """A model of one corpus version. It lives in memory only, and is trained again where it is needed."""

    trained: Trained
    "fingerprint, version and calibration: what is kept of it"
    objectives: tuple[str, ...]
    texts: Mapping[str, str]
    encoder: Encoder
    learners: tuple[Learner, ...]
    "one per objective"

    @property
    def fingerprint(self) -> str:
        """Names the model: see `optimizers.reward.rows.fingerprint_of`."""
        return self.trained.fingerprint

    @property
    def calibration(self) -> tuple[Calibration, ...]:
        """One per objective: how good the predictions are on tasks that the model has not seen."""
        return self.trained.calibration

    def predict(self, log: EpisodeLog) -> Floats:
        """The predicted value of each recorded round: `N x K x M`, NaN after the end of the episode.

        On the episodes that it was trained on this flatters the model; `calibration` does not.
        """
        episode_R, round_R = np.nonzero(log.option_N_K >= 0)
        option_R = log.option_N_K[episode_R, round_R]
        states = states_of(log, self.encoder.vocabulary, self.texts)
        predicted_N_K_M = np.full((*log.option_N_K.shape, len(self.objectives)), np.nan)
        predicted_N_K_M[episode_R, round_R] = self._values(
            states, log.state_L[option_R], round_R.astype(np.int32), log.action_L[option_R]
        )
        return predicted_N_K_M

    def rank(self, log: EpisodeLog, target: Target, extra: Sequence[Extra] = ()) -> list[Prediction]:
        """One prediction per candidate of `target`, in its order; `best_first` sorts them.

        The mean over the recorded rounds of `log` of the predicted value of what the candidate does there. What it
        does beyond a state's options is predicted from its `extra` options; without any it is taken for worth what
        the behaviour is worth there. Raises UsageError as `Question` does.
        """
        question = Question(log, target, extra)
        states = states_of(log, self.encoder.vocabulary, self.texts, [(one.option, one.text) for one in extra])
        options_L_M = self._mean_values(states, question.visits_S_K, log.state_L, log.action_L)
        predicted_C_M = target.probability_L_C.T @ (question.visits_L[:, None] * options_L_M)
        for column in np.flatnonzero(question.missing_S_C.any(axis=0)):
            beyond_S_M = self._beyond(states, question, target.names[column], options_L_M)
            predicted_C_M[column] += question.missing_S_C[:, column] @ beyond_S_M
        clipped_C_M = np.clip(predicted_C_M, 0.0, 1.0)
        return [
            Prediction(
                candidate=name,
                predicted=dict(zip(self.objectives, clipped_C_M[column].tolist(), strict=True)),
                unsupported=float(question.unsupported_C[column]),
                fingerprint=self.fingerprint,
                version=self.trained.version,
                question=question.digests[column],
            )
            for column, name in enumerate(target.names)
        ]

    def _beyond(self, states: States, question: Question, candidate: str, options_L_M: Floats) -> Floats:
        """What the candidate's extra options are worth in each state, or without any the behaviour: `S x M`."""
        log, shares = question.log, question.shares(candidate)
        found_S_M = np.zeros((len(log.features_S_F), len(self.objectives)))
        if not shares:
            np.add.at(found_S_M, log.state_L, log.behaviour_L[:, None] * options_L_M)
            return found_S_M
        state_R = np.flatnonzero(question.visits_S_K.any(axis=1)).astype(np.int32)
        for place, share in shares.items():
            option_R = np.full(len(state_R), len(log.actions) + place, np.int32)
            found_S_M[state_R] += share * self._mean_values(states, question.visits_S_K, state_R, option_R)
        return found_S_M

    def _mean_values(self, states: States, visits_S_K: Floats, state_R: Integers, option_R: Integers) -> Floats:
        """The predicted value of options in states, the mean over the rounds of the state: `R x M`; 0 if unvisited."""
        row_P, round_P = np.nonzero(visits_S_K[state_R] > 0)
        values_P_M = self._values(states, state_R[row_P], round_P.astype(np.int32), option_R[row_P])
        weight_P = visits_S_K[state_R[row_P], round_P] / visits_S_K.sum(axis=1)[state_R[row_P]]
        found_R_M = np.zeros((len(state_R), len(self.objectives)))
        np.add.at(found_R_M, row_P, weight_P[:, None] * values_P_M)
        return found_R_M

    def _values(self, states: States, state_P: Integers, round_P: Integers, option_P: Integers) -> Floats:
        values_P_M = np.empty((len(state_P), len(self.objectives)))
        for start in range(0, len(state_P), _BLOCK):
            rows = slice(start, start + _BLOCK)
            columns = self.encoder.rows(states.table(state_P[rows], round_P[rows], option_P[rows]))
            values_P_M[rows] = np.stack([learner.predict(columns) for learner in self.learners], axis=1)
        return values_P_M


def best_first(predictions: Sequence[Prediction], objectives: Sequence[str]) -> list[Prediction]:
    """Sorted by the first objective, then the next, best first; equal ones by name. Raises UsageError."""
    unknown = [name for name in objectives if any(name not in one.predicted for one in predictions)]
    if unknown:
        raise UsageError(f"not every prediction has {', '.join(unknown)}")
    return sorted(predictions, key=lambda one: (*(-one.predicted[name] for name in objectives), one.candidate))


class RewardModels:
    """One model per corpus version, trained when it is needed; what a model once said is read back."""

    def __init__(self, kept: PredictionLog, *, texts: Mapping[str, str] | None = None, seed: int = 0) -> None:
        self.kept = kept
        self.texts = dict(texts or {})
        self.seed = seed
        self.fits = 0
        "models trained so far"
        self._model: RewardModel | None = None

    def model_for(self, version: str, log: EpisodeLog) -> RewardModel:
        """The model of this log, trained unless it is the one that was asked last. Raises NoSupport, StoreError."""
        rows = training_rows(log, self.texts)
        return self._model_of(rows, version, log)

    def rank(self, version: str, log: EpisodeLog, target: Target, extra: Sequence[Extra] = ()) -> list[Prediction]:
        """As `RewardModel.rank` on the log it is trained on. A question that this model once answered is not asked
        again, and is answered without training; new answers are kept before they are returned."""
        rows = training_rows(log, self.texts)
        fingerprint = fingerprint_of(rows, log, self.texts, version, self.seed)
        questions = Question(log, target, extra).digests
        asked = list(zip(target.names, questions, strict=True))
        known = [self.kept.prediction(fingerprint, name, digest) for name, digest in asked]
        new = [column for column, one in enumerate(known) if one is None]
        if not new:
            return [one for one in known if one is not None]
        names = tuple(target.names[column] for column in new)
        part = Target(names, target.probability_L_C[:, new])
        model = self._model_of(rows, version, log)
        predicted = model.rank(log, part, [one for one in extra if one.candidate in names])
        self.kept.write_predictions(predicted)
        found = dict(zip(new, predicted, strict=True))
        return [found[column] if one is None else one for column, one in enumerate(known)]

    def _model_of(self, rows: TrainingRows, version: str, log: EpisodeLog) -> RewardModel:
        wanted = fingerprint_of(rows, log, self.texts, version, self.seed)
        if self._model is None or self._model.fingerprint != wanted:
            self._model = _fitted(log, rows, self.texts, version, self.seed)
            self.fits += 1
            self.kept.write_trained(self._model.trained)
        return self._model


def _fitted(log: EpisodeLog, rows: TrainingRows, texts: Mapping[str, str], version: str, seed: int) -> RewardModel:
    """Train on every recorded round; the target of each objective is the scaled value of the whole episode.

    `texts` gives the steer text of an action; `version` names the corpus. The result is a function of the arguments,
    and the order of episodes in the log means nothing. Raises NoSupport for a log of fewer than five tasks.
    """
    columns = [Rows(rows.columns_N_D, rows.outcomes_N_M[:, m], rows.task_N, seed) for m in range(len(log.objectives))]
    trained = Trained(
        fingerprint=fingerprint_of(rows, log, texts, version, seed),
        version=version,
        calibration=tuple(
            _calibration(name, one, rows.action_N, sum(log.left_out.values()))
            for name, one in zip(log.objectives, columns, strict=True)
        ),
    )
    learners = tuple(learn(one, one.kind) for one in columns)
    return RewardModel(trained, log.objectives, dict(texts), rows.encoder, learners)


def _calibration(objective: str, rows: Rows, action_N: Integers, left_out: int) -> Calibration:
    predicted_N, base_N = out_of_fold(rows)
    by_option = [group_means(values_N, action_N) for values_N in (predicted_N, rows.outcome_N)]
    return Calibration(
        objective=objective,
        kind=rows.kind,
        n=len(predicted_N),
        tasks=len(np.unique(rows.task_N)),
        left_out=left_out,
        ece=expected_calibration_error(predicted_N, rows.outcome_N),
        brier=brier(predicted_N, rows.outcome_N),
        base_brier=brier(base_N, rows.outcome_N),
        spearman=rank_correlation(predicted_N, rows.outcome_N),
        options=len(by_option[0]),
        options_spearman=rank_correlation(*by_option),
    )
