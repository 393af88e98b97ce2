"""Columns of the reward model: what a text that was never tried shares with those that were."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optimizers.episode_log import EpisodeLog, Option
from optimizers.reward.features import HASHED, Encoder, encoder_of, states_of, vocabulary_of, words_of
from tests.worlds.lamps import GROUPS, TEXTS, Lamps

NEW = Option("continue", "refine_last", "gear")
KNOWN = Lamps(known=("fan", "pump", "none"))


@pytest.fixture(scope="module")
def log() -> EpisodeLog:
    return KNOWN.log(40, 8, seed=1)


def read(log: EpisodeLog, state: int, option: Option, text: str) -> dict[str, float]:
    """Every column of one row."""
    states = states_of(log, vocabulary_of(log), TEXTS, [(option, text)])
    last = len(states.options) - 1
    table = states.table(np.array([state], np.int32), np.array([1], np.int32), np.array([last], np.int32))
    return dict(zip(states.vocabulary.columns, table[0].tolist(), strict=True))


def lit(log: EpisodeLog, *groups: str) -> int:
    """A state after one attempt in which exactly these groups are lit."""
    wanted = [1.0, *(float(group in groups) for group in GROUPS), float(not groups)]
    return int(np.flatnonzero((log.features_S_F == wanted).all(axis=1))[0])


def test_an_option_is_read_in_parts(log: EpisodeLog) -> None:
    row = read(log, lit(log, "fan"), Option("continue", "fanout_3"), "")
    assert (row["topology.fanout"], row["width"], row["stop.continue"], row["stop.done"]) == (1, 3, 1, 0)
    assert (row["round"], row["attempts"], row["lit.fan"], row["lit.pump"]) == (1, 1, 1, 0)
    assert row["kind.none"] == row["kind.fixed"] == row["words"] == 0


@pytest.mark.parametrize(
    ("action", "kind"),
    [("fan", "fixed"), ("new", "fixed"), ("none", "none"), ("placebo", "placebo"), ("text", "analyst")],
)
def test_a_steer_has_a_kind(log: EpisodeLog, action: str, kind: str) -> None:
    row = read(log, 0, Option("continue", "refine_last", action), "")
    assert [name for name, value in row.items() if name.startswith("kind.") and value] == [f"kind.{kind}"]


def test_a_new_text_reads_the_features_that_it_names(log: EpisodeLog) -> None:
    valve = read(log, lit(log, "valve"), NEW, "Look at the Valve, please.")
    assert valve["named.lit"] == 1
    assert read(log, lit(log, "fan"), NEW, "Look at the valve.")["named.lit"] == 0
    assert read(log, lit(log, "fan"), NEW, "Look at the valve or the fan.")["named.lit"] == 1
    assert np.isnan(read(log, lit(log, "fan"), NEW, "Look around.")["named.lit"])
    assert np.isnan(read(log, 0, NEW, "Look at the valve.")["named.lit"]), "no lamp was observed yet"


def test_an_action_names_itself(log: EpisodeLog) -> None:
    option = Option("continue", "refine_last", "belt")
    assert read(log, lit(log, "belt"), option, "")["named.lit"] == 1


def test_texts_with_common_words_have_common_columns(log: EpisodeLog) -> None:
    def hashed(text: str) -> set[str]:
        row = read(log, 0, NEW, text)
        return {name for name in (f"word.{n}" for n in range(HASHED)) if row[name]}

    assert hashed("work on the gear") == hashed("The GEAR: on work!")
    assert hashed("gear") <= hashed("work on the gear")
    assert not hashed("")
    assert words_of("Work_on the 2nd GEAR") == {"work_on", "the", "nd", "gear"}


def test_nothing_that_is_read_is_nan_and_what_was_not_observed_is_flagged(log: EpisodeLog) -> None:
    states = states_of(log, vocabulary_of(log), TEXTS)
    option_L = np.arange(len(log.state_L))
    table = states.table(log.state_L, np.zeros(len(option_L), np.int32), log.action_L)
    encoder = encoder_of(states.vocabulary, table)
    rows = encoder.rows(table)
    assert np.isfinite(rows).all()
    assert rows.shape[1] == len(encoder.columns) == len(set(encoder.columns))
    flagged = [name for name in encoder.columns if name.startswith("missing.")]
    assert {"missing.lit.belt", "missing.named.lit"} == set(flagged), (
        "columns that are missing together are flagged once"
    )
    assert np.array_equal(rows[:, encoder.columns.index("missing.lit.belt")], np.isnan(table[:, 2]).astype(float))


def test_columns_that_do_not_vary_are_left_out_even_if_never_observed(log: EpisodeLog) -> None:
    table = np.array([[np.nan, 1.0, 0.0], [np.nan, 1.0, 2.0]])
    encoder = encoder_of(vocabulary_of(log), table)
    assert (encoder.kept, encoder.flagged) == ((2,), ())
    assert encoder.rows(table).tolist() == [[0.0], [2.0]]


def test_a_flag_that_the_value_says_already_is_left_out(log: EpisodeLog) -> None:
    """`last.<action>` is 1 where it was and otherwise not observed."""
    assert encoder_of(vocabulary_of(log), np.array([[1.0], [np.nan]])) == Encoder(vocabulary_of(log), (0,), ())
    assert encoder_of(vocabulary_of(log), np.array([[0.0], [np.nan]])) == Encoder(vocabulary_of(log), (), (0,))


def test_the_order_of_features_means_nothing(log: EpisodeLog) -> None:
    turned = replace(log, features=log.features[::-1], features_S_F=log.features_S_F[:, ::-1])
    state = lit(log, "fan", "pump")
    assert read(turned, state, NEW, "fan") == pytest.approx(read(log, state, NEW, "fan"), nan_ok=True)


def test_a_feature_that_another_log_lacks_is_missing(log: EpisodeLog) -> None:
    poorer = replace(log, features=log.features[:-1], features_S_F=log.features_S_F[:, :-1])
    states = states_of(poorer, vocabulary_of(log), TEXTS)
    zero = np.zeros(1, np.int32)
    row = dict(zip(states.vocabulary.columns, states.table(zero, zero, zero)[0], strict=True))
    assert np.isnan(row["passed"])
