"""The wordnet judge: the answer is the hidden entry, which the conditions of the question single out."""

from __future__ import annotations

from collections.abc import Mapping

from controllers.worlds.wordnet import Reading
from judges.records import Judgement
from signatures.digest import digest_of
from signatures.errors import UsageError
from signatures.records import Task


class WordnetJudge:
    """The hidden entry was answered: 1, else 0. An output that is no state of the world scores 0."""

    def __init__(self, gold: Mapping[str, str], rivals: Mapping[str, frozenset[str]], *, release: str) -> None:
        """`gold`: task digest -> the entry; `rivals`: the entries that meet all but the condition told in other words.

        `release`: which WordNet the ids are of.
        """
        self._gold, self._rivals = dict(gold), dict(rivals)
        self._revision = f"wordnet entries of {release}, {digest_of(self._gold)}"

    @property
    def revision(self) -> str:
        """The release of WordNet and the digest of all answers."""
        return self._revision

    @property
    def deterministic(self) -> bool:
        """Yes: it compares."""
        return True

    async def judge(self, task: Task, output: str) -> Judgement:
        """Compare the answer in the state `output`; no score for a task it does not know."""
        gold = self._gold.get(task.digest)
        if gold is None:
            return Judgement(score=None, reason="no entry is known for this task")
        try:
            answer = Reading.of(output).answer
        except UsageError as error:
            return Judgement(score=0.0, reason=str(error))
        right = answer == gold
        near = right or answer in self._rivals.get(task.digest, frozenset())
        reason = "" if right else "no answer" if answer is None else "a rival" if near else "another entry"
        parts = {"answered": answer is not None, "meets what a program can check": near, "the entry": right}
        return Judgement(score=float(right), reason=reason, parts=parts)
