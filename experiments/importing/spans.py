"""From spans of model and tool calls to one conversation: each call of a model repeats all that was said before."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.importing.messages import Call, Said


class Talk:
    """The messages of a run, each once, in the order in which its spans began."""

    def __init__(self) -> None:
        self.messages: list[Said] = []
        self._open: list[Call] = []
        self._answered: set[str] = set()

    def model_call(self, inputs: Sequence[Said], outputs: Sequence[Said]) -> None:
        """Add what is new of a call's inputs, and its outputs."""
        self._add_new(inputs)
        for said in outputs:
            self.messages.append(said)
            self._open = [*said.calls]

    def tool_call(self, call: Call, text: str, *, failed: bool) -> None:
        """Add a tool's own span: the result of a call that is open, or a call that no model's span shows."""
        match = next((one for one in self._open if _same(one, call)), None)
        if match is None:
            self.messages.append(Said("assistant", calls=(call,)))
            match = call
        else:
            self._open.remove(match)
        if match.id:
            self._answered.add(match.id)
        self.messages.append(Said("tool", text, (), match.id, match.name, failed))

    def told(self, said: Said) -> None:
        """Add a message unless it was the last one already."""
        if said not in self.messages:
            self.messages.append(said)

    def prompt(self) -> str:
        """What the user said first, empty where nobody did."""
        return next((one.text for one in self.messages if one.role == "user" and one.text), "")

    def without_prompt(self) -> list[Said]:
        """The messages but the one that is the prompt."""
        prompt = self.prompt()
        first = next((n for n, one in enumerate(self.messages) if one.role == "user" and one.text == prompt), None)
        return [one for n, one in enumerate(self.messages) if n != first]

    def _add_new(self, inputs: Sequence[Said]) -> None:
        known, at = [*self.messages], 0
        for said in inputs:
            place = next((n for n in range(at, len(known)) if known[n] == said), None)
            if place is not None:
                at = place + 1
            elif not (said.role == "tool" and said.answers in self._answered):
                self._note(said)

    def _note(self, said: Said) -> None:
        if said.role == "assistant":
            self._open = [*said.calls]
        elif said.role == "tool" and said.answers:
            self._answered.add(said.answers)
        self.messages.append(said)


def _same(open_call: Call, call: Call) -> bool:
    return open_call.id == call.id if call.id else open_call.name == call.name
