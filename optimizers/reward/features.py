"""What the reward model reads of a round: the state's features, the option's parts, and the text of its steer.

columns            meaning
round              rounds before this one
<feature>          the state's features, as recorded
stop.<x>           whether the option's stop draw was x, `topology.<kind>` and `steer.<action>` alike
width              fresh attempts that it launches
kind.<kind>        the kind of its steer: none, fixed, placebo, report, rule, analyst
words              words of its steer's text; `word.<n>`: whether a word with that hash is in it
named.<family>     the largest of the features `<family>.<x>` whose x the steer names, in its text or by its action:
                   `named.untried` is `untried.fan` for a steer that says "work on the fan"
missing.<column>   whether the column was not observed; there its value reads 0

The last two need no record of the steer itself, so a text that was never tried has features too.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, get_args

import numpy as np

from optimizers.episode_log import EpisodeLog, Floats, Integers, Option
from signatures.records import SteerKind

HASHED: Final = 64
"""Columns of hashed words."""
_WORD: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_KINDS: Final[Mapping[str, SteerKind]] = {
    "none": "none",
    "placebo": "placebo",
    "report": "report",
    "rule": "rule",
    "text": "analyst",
}
"""Actions that no benchmark's table names; every other one is a directive with a fixed text."""


@dataclass(frozen=True)
class Vocabulary:
    """The names that columns are made of: fixed by the log that a model is trained on."""

    features: tuple[str, ...]
    stops: tuple[str, ...]
    topologies: tuple[str, ...]
    steers: tuple[str, ...]

    @property
    def families(self) -> dict[str, dict[str, str]]:
        """Beginning of a dotted feature -> its last part -> the feature."""
        found: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for feature in self.features:
            family, dot, member = feature.rpartition(".")
            if dot:
                found[family][member.lower()] = feature
        return dict(sorted(found.items()))

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns, without those for what is missing."""
        return (
            "round",
            *self.features,
            *(f"stop.{name}" for name in self.stops),
            *(f"topology.{name}" for name in self.topologies),
            *(f"steer.{name}" for name in self.steers),
            "width",
            *(f"kind.{kind}" for kind in get_args(SteerKind)),
            "words",
            *(f"word.{number}" for number in range(HASHED)),
            *(f"named.{family}" for family in self.families),
        )


def vocabulary_of(log: EpisodeLog) -> Vocabulary:
    """The names that occur in a log, sorted, so that the order it lists them in means nothing."""
    return Vocabulary(
        features=tuple(sorted(log.features)),
        stops=tuple(sorted({o.stop for o in log.actions if o.stop is not None})),
        topologies=tuple(sorted({_topology(o)[0] for o in log.actions if o.topology is not None})),
        steers=tuple(sorted({o.steer for o in log.actions if o.steer is not None})),
    )


@dataclass(frozen=True)
class Encoder:
    """Rows of numbers from states, rounds and options: the columns that vary in what a model is trained on."""

    vocabulary: Vocabulary
    kept: tuple[int, ...] = ()
    "columns whose values are read"
    flagged: tuple[int, ...] = ()
    "columns of which it is read whether they were observed"

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of `rows`."""
        names = self.vocabulary.columns
        return (*(names[i] for i in self.kept), *(f"missing.{names[i]}" for i in self.flagged))

    def rows(self, table_N_D: Floats) -> Floats:
        """The columns that are read, of a table of all of them; nothing is NaN."""
        values = np.nan_to_num(table_N_D[:, list(self.kept)], nan=0.0)
        return np.hstack([values, np.isnan(table_N_D[:, list(self.flagged)])])


def encoder_of(vocabulary: Vocabulary, table_N_D: Floats) -> Encoder:
    """The encoder that reads what varies in `table_N_D`; of columns missing together, the first stands for all."""
    missing_N_D = np.isnan(table_N_D)
    filled_N_D = np.where(missing_N_D, 0.0, table_N_D)
    kept_D = np.ptp(filled_N_D, axis=0) > 0
    flagged: dict[bytes, int] = {}
    for column in np.flatnonzero(missing_N_D.any(axis=0) & ~missing_N_D.all(axis=0)):
        observed = table_N_D[~missing_N_D[:, column], column]
        if np.ptp(observed) > 0 or observed[0] == 0:  # else the filled value says it already
            flagged.setdefault(missing_N_D[:, column].tobytes(), int(column))
    return Encoder(vocabulary, tuple(np.flatnonzero(kept_D).tolist()), tuple(flagged.values()))


@dataclass(frozen=True)
class States:
    """The states and options that rows are made of: those of a log, and perhaps options beyond it."""

    log: EpisodeLog
    vocabulary: Vocabulary
    options: tuple[Option, ...]
    texts: tuple[str, ...]
    "the steer's text of each option"

    def table(self, state_N: Integers, round_N: Integers, option_N: Integers) -> Floats:
        """All columns of the vocabulary, `N x D`, NaN = missing; `option_N` are indices into `options`."""
        features_N_F = self._features_S_F[state_N]
        named_N_G = self._named(features_N_F, option_N)
        round_N_1 = np.asarray(round_N, np.float64)[:, None]
        return np.hstack([round_N_1, features_N_F, self._parts_A_D[option_N], named_N_G])

    @cached_property
    def _features_S_F(self) -> Floats:
        """The vocabulary's features of each state; one that the log does not have is missing."""
        places = {name: place for place, name in enumerate(self.log.features)}
        found_S_F = np.full((len(self.log.features_S_F), len(self.vocabulary.features)), np.nan)
        for column, name in enumerate(self.vocabulary.features):
            if name in places:
                found_S_F[:, column] = self.log.features_S_F[:, places[name]]
        return found_S_F

    @cached_property
    def _parts_A_D(self) -> Floats:
        parts = [_parts(self.vocabulary, option, text) for option, text in zip(self.options, self.texts, strict=True)]
        return np.hstack([np.array(parts, np.float64), _hashed(self.texts)])

    def _named(self, features_N_F: Floats, option_N: Integers) -> Floats:
        """`N x families`: NaN where the option names no member, or none that was observed."""
        places = {name: place for place, name in enumerate(self.vocabulary.features)}
        families = self.vocabulary.families
        named_N_G = np.full((len(features_N_F), len(families)), np.nan)
        for place in np.unique(option_N):
            option = self.options[place]
            said = words_of(self.texts[place]) | ({option.steer.lower()} if option.steer else set())
            rows = np.flatnonzero(option_N == place)
            for family, members in enumerate(families.values()):
                for member in members.keys() & said:
                    named_N_G[rows, family] = np.fmax(
                        named_N_G[rows, family], features_N_F[rows, places[members[member]]]
                    )
        return named_N_G


def states_of(
    log: EpisodeLog, vocabulary: Vocabulary, texts: Mapping[str, str], beyond: Sequence[tuple[Option, str]] = ()
) -> States:
    """The log's options with the texts of their actions, then those beyond it with their own."""
    known = [texts.get(option.steer or "", "") for option in log.actions]
    options = (*log.actions, *(option for option, _ in beyond))
    return States(log, vocabulary, options, (*known, *(text for _, text in beyond)))


def words_of(text: str) -> frozenset[str]:
    """The words of a text that can name something, in lower case."""
    return frozenset(word.lower() for word in re.findall(_WORD, text))


def _topology(option: Option) -> tuple[str, int]:
    """The kind of move and how many fresh attempts it launches: `fanout_2` is a fanout of 2."""
    kind, _, width = (option.topology or "").rpartition("_")
    return (kind, int(width)) if width.isdigit() else (option.topology or "", 0)


def _parts(vocabulary: Vocabulary, option: Option, text: str) -> list[float]:
    """An option as numbers, without its hashed words."""
    topology, width = _topology(option)
    kind = None if option.steer is None else _KINDS.get(option.steer, "fixed")
    flags = [option.stop == name for name in vocabulary.stops]
    flags += [topology == name for name in vocabulary.topologies]
    flags += [option.steer == name for name in vocabulary.steers]
    kinds = [kind == name for name in get_args(SteerKind)]
    return [*map(float, flags), float(width), *map(float, kinds), float(len(words_of(text)))]


def _hashed(texts: Sequence[str]) -> Floats:
    from sklearn.feature_extraction.text import HashingVectorizer

    hashed = HashingVectorizer(n_features=HASHED, alternate_sign=False, norm=None, binary=True, token_pattern=_WORD)
    words_A_H: Floats = hashed.transform(texts).toarray()
    return words_A_H
