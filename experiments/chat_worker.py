"""The worker `chat` of a benchmark: the model that the command line names, refused in one line where it names none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controllers.workers.chat import ChatConfig, ChatWorker
from signatures.errors import UsageError

if TYPE_CHECKING:
    import dspy

    from controllers.worlds import World


def chat_worker(lm: dspy.LM | None, config: ChatConfig, world: World | None = None) -> ChatWorker:
    """The model `lm`, with the tools of `world` if there is one. Raises UsageError where `lm` is None."""
    if lm is None:
        raise UsageError("worker chat needs a model: name one with worker_lm=MODEL or --lm MODEL")
    return ChatWorker(lm, world=world, config=config)
