"""MIPROv2's surroundings: demos that are given, scores that are asked for, and a way out that it cannot swallow."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import dspy
import pytest
from dspy.utils.exceptions import AdapterParseError

from controllers.program import Controller, controller_of, lm_component
from controllers.scripted_engine import prompt_text, scripted_lm
from optimizers.demos import Demo
from optimizers.mipro_adapter import AskedEngine, Ended, Exit, Lenient, Mipro, Pools, Settings, quiet
from signatures.policies import Steering, Topology
from tests.worlds.lab import with_components

SETTINGS = Settings(
    candidates=3,
    trials=6,
    demos=2,
    minibatch=0,
    full_every=2,
    temperature=1.0,
    program_aware=False,
    data_aware=True,
    tips=True,
    seed=4,
)
EXAMPLES = [dspy.Example(task=f"task {n}", digest=str(n)).with_inputs("task") for n in range(6)]


def demo(action: str) -> Demo:
    return {
        "augmented": True,
        "task": f"shown {action}",
        "features": {},
        "observations": [],
        "legal": ["a", "b"],
        "action": action,
        "confidence": 0.9,
    }


DEMOS: dict[int, list[list[Demo]]] = {0: [[], [demo("a")], [demo("a"), demo("b")]], 1: [[], [demo("b")]]}


def student() -> Controller:
    lm, _ = scripted_lm(lambda prompt: "")
    return controller_of(with_components(topology=lm_component("topology", lm), steer=lm_component("steer", lm)), lm)


class Told:
    """Scores programs, answers the prompt model, and keeps what it was asked."""

    def __init__(self, answers: Sequence[str] = ()) -> None:
        self.scored: list[tuple[str, int, list[tuple[int, int]]]] = []
        self.questions: list[str] = []
        self.numbers: list[int] = []
        self.answers = list(answers)
        self.fails: BaseException | None = None

    def score(self, program: dspy.Module, examples: Sequence[dspy.Example], pools: Pools | None) -> float:
        if pools is not None and self.fails is not None:
            raise self.fails
        chosen = [] if pools is None else pools.chosen(program)
        self.scored.append((program.candidate.digest, len(examples), chosen))
        return 0.25 + 0.25 * sum(instruction == 2 for instruction, _ in chosen)

    def answer(self, number: int, request: object) -> str:
        self.numbers.append(number)
        self.questions.append(prompt_text(request))
        if self.answers:
            return self.answers[(number - 1) % len(self.answers)]
        return f"[[ ## proposed_instruction ## ]]\nInstruct {number}."

    def search(self, settings: Settings = SETTINGS) -> Told:
        lm = dspy.LM("scripted", engine=AskedEngine(self.answer), cache=False, num_retries=0)
        Mipro(settings, lm, DEMOS, self.score).search(student(), EXAMPLES, EXAMPLES[:2])
        return self


def test_it_scores_the_student_and_then_what_it_chooses_from_the_pools() -> None:
    told = Told().search()
    (first, *rest) = told.scored
    assert first == (student().candidate.digest, 6, [])
    assert len(rest) == 6
    for digest, size, chosen in rest:
        assert size == 6
        for (instruction, demos), most in zip(chosen, (3, 2), strict=True):
            assert 0 <= instruction < 3 and 0 <= demos < most
        assert (digest == first[0]) == (chosen == [(0, 0), (0, 0)])
    assert len({tuple(chosen) for _, _, chosen in rest}) > 3


def test_it_is_a_function_of_its_seed() -> None:
    assert Told().search().scored == Told().search().scored
    assert Told().search().scored != Told().search(SETTINGS._replace(seed=5)).scored


def test_the_prompt_model_reads_demos_and_tasks_and_its_questions_are_numbered() -> None:
    told = Told().search()
    assert told.numbers == list(range(1, len(told.numbers) + 1))
    assert len(told.numbers) == 2 + 2 * 3  # what the tasks are like, twice; three instructions for each of two policies
    text = "\n".join(told.questions)
    assert "shown a" in text and "shown b" in text and "task 1" in text and "task 2" not in text
    assert Topology.instructions in text and Steering.instructions in text


def test_minibatches_are_followed_by_evaluations_in_full() -> None:
    told = Told().search(SETTINGS._replace(minibatch=2, trials=6))
    assert [size for _, size, _ in told.scored] == [6, 2, 2, 6, 2, 2, 6, 2, 2, 6]


def test_where_every_program_was_evaluated_in_full_minibatches_end() -> None:
    told = Told(["[[ ## proposed_instruction ## ]]\n"]).search(SETTINGS._replace(minibatch=2, demos=0, trials=9))
    sizes = [size for _, size, _ in told.scored]
    assert sizes[:4] == [6, 2, 2, 6] and len(sizes) < 14


def test_without_demos_only_instructions_are_chosen_but_demos_are_read() -> None:
    told = Told().search(SETTINGS._replace(demos=0))
    assert all(demos == -1 or demos == 0 for _, _, chosen in told.scored for _, demos in chosen)
    assert any("shown a" in question for question in told.questions)


def test_blank_and_repeated_instructions_are_not_tried() -> None:
    told = Told(["[[ ## proposed_instruction ## ]]\nsame"]).search(SETTINGS._replace(data_aware=False))
    assert {instruction for _, _, chosen in told.scored for instruction, _ in chosen} <= {0, 1}
    told = Told([""]).search(SETTINGS._replace(data_aware=False))
    assert {instruction for _, _, chosen in told.scored for instruction, _ in chosen} == {0}


def test_ended_leaves_it_at_once_where_an_exception_would_be_a_score_of_zero() -> None:
    told = Told()
    told.fails = Ended()
    with pytest.raises(Ended):
        told.search()
    assert len(told.scored) == 1
    swallowed = Told()
    swallowed.fails = ValueError("lost")
    swallowed.search()
    assert len(swallowed.scored) == 1, "it went on to the end with scores of 0"


def test_an_exit_keeps_the_first_error_and_lets_nothing_more_happen() -> None:
    way = Exit()
    with way:
        pass
    with pytest.raises(Ended), way:
        raise KeyError("first")
    assert isinstance(way.error, KeyError)
    with pytest.raises(Ended), way:
        raise AssertionError("not reached")
    assert isinstance(way.error, KeyError)
    other = Exit()
    with pytest.raises(Ended), other:
        raise Ended
    assert other.error is None


def test_an_answer_without_its_header_is_taken_whole() -> None:
    class One(dspy.Signature):
        """One."""

        question: str = dspy.InputField()
        answer: str = dspy.OutputField()

    lenient = Lenient()
    assert lenient.parse(One, "[[ ## answer ## ]]\nyes") == {"answer": "yes"}
    assert lenient.parse(One, "```[[ ## answer ## ]]\nyes\n```[[ ## completed ## ]]") == {"answer": "yes"}
    assert lenient.parse(One, "  yes, sure\n[[ ## completed ## ]]") == {"answer": "yes, sure"}
    with pytest.raises(AdapterParseError):
        lenient.parse(Steering, "fan")


def test_the_narration_is_left_out_and_warnings_are_not(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("dspy.teleprompt.utils")
    handled: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: handled.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    try:
        with quiet():
            logger.warning("odd")
            logger.info("step 1")
            logger.warning("Input contains fields not in signature")
        logger.warning("after")
    finally:
        logger.removeHandler(handler)
    assert handled == ["odd", "after"]
