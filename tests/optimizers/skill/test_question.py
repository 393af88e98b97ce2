from __future__ import annotations

from tests.worlds.asked import question


def test_equal_questions_have_one_id_and_others_another() -> None:
    assert question("a").id == question("a").id
    assert len({question("a").id, question("b").id, question("a", "refine_last").id}) == 3


def test_a_demo_is_the_question_with_its_answer_and_no_family() -> None:
    demo = question("a", "refine_last", families=("secret",)).demo()
    assert (demo.action, demo.task) == ("refine_last", "Do a.")
    assert "secret" not in demo.model_dump_json()
