"""The worker `chat`: the model it was given on the tools it was given, and one line where there is no model."""

from __future__ import annotations

from pathlib import Path

import pytest

from controllers.scripted_engine import scripted_lm
from controllers.workers.chat import ChatConfig, ChatWorker
from controllers.worlds.wordnet import WordnetWorld
from experiments.chat_worker import chat_worker
from signatures.errors import UsageError

SMALL = Path(__file__).parents[1] / "data" / "wordnet"


def test_it_is_the_model_with_these_words_and_tools() -> None:
    lm, world = scripted_lm(lambda prompt: "")[0], WordnetWorld(SMALL)
    config = ChatConfig(system="Find entries.", turns_limit=3)
    made = chat_worker(lm, config, world).fingerprint
    assert made == ChatWorker(lm, world=world, config=config).fingerprint
    assert made != chat_worker(lm, config).fingerprint
    assert made != chat_worker(lm, ChatConfig(system="Find entries."), world).fingerprint


def test_without_a_model_one_line_says_how_to_name_one() -> None:
    with pytest.raises(UsageError, match=r"^worker chat needs a model: name one with worker_lm=MODEL or --lm MODEL$"):
        chat_worker(None, ChatConfig())
