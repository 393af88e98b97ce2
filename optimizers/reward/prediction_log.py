"""What reward models predicted, kept with the fingerprint of the model that said it. A prediction decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from controllers.jsonlog import JsonLog, read_jsonlog
from optimizers.reward.calibration import Calibration
from signatures.digest import canonical_json
from signatures.errors import StoreError
from signatures.records import Probability, Record


class Prediction(Record):
    """Where a candidate may stand, by a model: a reason to try it live, never a reason to accept it.

    It has no interval and counts no tasks, and none of its fields is called as those of an evaluation or of an
    archive's entry are: what compares candidates cannot take it.
    """

    candidate: str
    "the candidate's name in the target that was ranked"
    predicted: Mapping[str, Probability]
    "by objective"
    unsupported: Probability
    "share of what the candidate would do that the record could not hold"
    fingerprint: str
    "of the model"
    version: str
    "of the corpus that the model was trained on"
    question: str
    "digest of what was asked: the candidate's probabilities and texts, and the states they were averaged over"


class Trained(Record):
    """One model: the model itself is never stored, it is trained again."""

    fingerprint: str
    version: str
    calibration: tuple[Calibration, ...]
    "one per objective"


class PredictionLog:
    """Predictions and the calibration of the models they came from, append-only in one file. One writer."""

    def __init__(self, path: Path) -> None:
        """Raises StoreError where the file holds something else."""
        self.path = path
        self._predictions: dict[tuple[str, str, str], Prediction] = {}
        self._trained: dict[str, Trained] = {}
        for number, entry in enumerate(read_jsonlog(path), 1):
            self._load(number, entry)
        self._log = JsonLog(path)

    def __len__(self) -> int:
        """How many predictions are kept."""
        return len(self._predictions)

    def prediction(self, fingerprint: str, candidate: str, question: str) -> Prediction | None:
        """What that model said to that question about the candidate, if it was asked."""
        return self._predictions.get((fingerprint, candidate, question))

    def trained(self, fingerprint: str) -> Trained | None:
        """What is known of that model, if it was ever trained."""
        return self._trained.get(fingerprint)

    def write_predictions(self, predictions: Sequence[Prediction]) -> None:
        """Make predictions durable, in one write."""
        if predictions:
            self._log.append({"predictions": [one.model_dump(mode="json") for one in predictions]})
            self._predictions.update({_key(one): one for one in predictions})

    def write_trained(self, trained: Trained) -> None:
        """Make a model's calibration durable; a known one is not written again."""
        if trained.fingerprint not in self._trained:
            self._log.append({"trained": trained.model_dump(mode="json")})
            self._trained[trained.fingerprint] = trained

    def close(self) -> None:
        """Close the file."""
        self._log.close()

    def _load(self, number: int, entry: dict[str, object]) -> None:
        try:
            match entry:
                case {"predictions": list(bodies)}:
                    read = [Prediction.model_validate_json(canonical_json(body)) for body in bodies]
                    self._predictions.update({_key(one): one for one in read})
                case {"trained": dict(body)}:
                    trained = Trained.model_validate_json(canonical_json(body))
                    self._trained[trained.fingerprint] = trained
                case _:
                    raise StoreError(f"{self.path}:{number}: not an entry of a prediction log")
        except ValidationError as error:
            raise StoreError(f"{self.path}:{number}: not an entry of a prediction log: {error}") from error


def _key(prediction: Prediction) -> tuple[str, str, str]:
    return prediction.fingerprint, prediction.candidate, prediction.question
