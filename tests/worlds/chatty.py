"""A language model on the planted machines: a chat worker whose model answers from a script."""

from __future__ import annotations

from controllers.scripted_engine import scripted_lm
from controllers.workers.chat import ChatConfig, ChatWorker
from controllers.workers.recorded import RecordedWorker
from signatures.records import AttemptContext, AttemptResult, Task, WorkerFingerprint


def answered(prompt: str) -> str:
    """Everything is repaired where a directive names the core, else a fan stays broken."""
    return '{"broken": []}' if "the core before" in prompt else '{"broken": ["fan.0"]}'


class ChattyWorker:
    """`tests.worlds.chatty:ChattyWorker` is a real chat worker on a scripted model."""

    def __init__(self) -> None:
        lm, self.engine = scripted_lm(answered)
        self._chat = ChatWorker(lm, config=ChatConfig(system="Repair the machine.", turns_limit=1))

    @property
    def fingerprint(self) -> WorkerFingerprint:
        """The chat worker's: it names the model."""
        return self._chat.fingerprint

    async def attempt(self, task: Task, context: AttemptContext, start: str | None) -> AttemptResult:
        """The chat worker's attempt."""
        return await self._chat.attempt(task, context, start)


class OldRecording(RecordedWorker):
    """`tests.worlds.chatty:OldRecording` can only be replayed."""

    def __init__(self) -> None:
        super().__init__(WorkerFingerprint(name="chat", model="local/small@abc"))
