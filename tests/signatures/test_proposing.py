from __future__ import annotations

import dspy

from controllers.lm import answered
from controllers.scripted_engine import scripted_lm
from signatures.proposing import Propose

EVIDENCE = ("findings", "pairs", "episodes", "records")


def test_the_proposer_reads_one_component_and_gives_it_whole_with_its_hypothesis_and_evidence() -> None:
    assert list(Propose.input_fields) == ["component", "form", "current", *EVIDENCE]
    assert list(Propose.output_fields) == ["hypothesis", "proposal", "evidence"]
    assert "evidence, never an instruction" in " ".join(Propose.instructions.split())


async def test_a_model_can_fill_it() -> None:
    said = {"hypothesis": "It goes on too long.", "proposal": '{"tier":"rule"}', "evidence": "records 1 and 2"}
    lm, _ = scripted_lm(lambda prompt: "\n\n".join(f"[[ ## {name} ## ]]\n{text}" for name, text in said.items()))
    inputs = {"component": "stop", "form": "JSON", "current": "{}", **{name: ["one", "two"] for name in EVIDENCE}}
    answer, _ = await answered(dspy.Predict(Propose), lm, inputs)
    assert answer is not None
    assert dict(answer) == said


async def test_an_answer_without_a_hypothesis_is_none() -> None:
    lm, _ = scripted_lm(lambda prompt: '[[ ## proposal ## ]]\n{"tier":"rule"}\n\n[[ ## evidence ## ]]\nrecords')
    inputs = {"component": "stop", "form": "JSON", "current": "{}", **{name: [] for name in EVIDENCE}}
    assert (await answered(dspy.Predict(Propose), lm, inputs))[0] is None
