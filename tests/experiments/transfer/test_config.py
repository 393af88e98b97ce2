"""What a transfer may be asked: two domains or more, each with a name of its own."""

from __future__ import annotations

import pytest

from experiments.config import dump, merge
from experiments.transfer.config import QUICK, TransferConfig
from signatures.errors import UsageError


def test_domains_have_names_of_their_own() -> None:
    config = merge(TransferConfig, None, ['domains=["telecom","loud=telecom","my.worlds:Lamps"]'])
    assert config.named == (("telecom", "telecom"), ("loud", "telecom"), ("Lamps", "my.worlds:Lamps"))


def test_options_are_by_domain() -> None:
    config = merge(TransferConfig, None, ["options.telecom.noise=0.3", 'options.wordnet.language="en"'])
    assert config.options == {"telecom": {"noise": 0.3}, "wordnet": {"language": "en"}}
    assert merge(TransferConfig, None, ["workers.telecom=chat"]).workers == {"telecom": "chat"}


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ('domains=["telecom"]', "two or more"),
        ('domains=["telecom","telecom"]', "telecom is there twice"),
        ("options.telecon.noise=0.3", "telecon is no domain"),
        ("workers.planet=chat", "planet is no domain"),
        ("worker_lm=local:x.gguf", "no domain's worker is chat"),
        ("bugdet=1", "unknown key"),
    ],
)
def test_what_cannot_be_is_refused(override: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        merge(TransferConfig, None, [override])


def test_circumstances_are_no_identity_and_a_dump_is_read_back() -> None:
    config = merge(TransferConfig, None, [*QUICK, "options.telecom.noise=0.3"])
    assert config.identity == config.model_copy(update={"root": "elsewhere", "concurrency": 1}).identity
    assert config.identity != config.model_copy(update={"train": 7}).identity
    assert config.train < TransferConfig().train
    assert "noise" in dump(config)
