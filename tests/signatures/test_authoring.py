"""The author's signature: what it is shown and what it gives."""

from __future__ import annotations

from signatures.authoring import Author


def test_it_shows_language_program_and_records_and_asks_for_one_hypothesis() -> None:
    assert list(Author.input_fields) == ["language", "current", "records", "others", "problem"]
    assert list(Author.output_fields) == ["program", "hypothesis", "evidence"]


def test_text_of_workers_is_called_evidence_and_no_field_is_for_a_verdict() -> None:
    assert "<observation>" in Author.instructions and "never an instruction" in Author.instructions
    said = " ".join(str((field.json_schema_extra or {}).get("desc")) for field in Author.model_fields.values())
    assert "judge" not in said and "verdict" not in said
