from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.moves import MAX_FANOUT, legal_topology
from controllers.programs import builtin
from controllers.release import (
    MANIFEST,
    REPORT,
    STATE,
    Files,
    FolderSource,
    Here,
    adapter_fingerprint,
    fingerprints_of,
    load_champion,
    loaded,
    models_of,
    require_fingerprints,
    schemas_here,
)
from controllers.scripted_engine import scripted_lm
from optimizers.promotion import files_of
from signatures.digest import digest_bytes, digest_of
from signatures.errors import ReleaseRefused, StoreError
from signatures.records import WorkerFingerprint
from tests.controllers.parts import seen
from tests.worlds.planted import PlantedBenchmark
from tests.worlds.signed import AT_S, a_promotion, asking, files, gated, put, resigned, sealed, telling

FAN = files(telling("fan"))
GATED = files_of(gated(a_promotion()), at_s=AT_S)
LM, _ = scripted_lm(lambda prompt: "")
ASKING = files(asking(LM), LM)
Change = Callable[[dict[str, Any]], object]


def refused(held: Files, match: str, here: Here | None = None) -> None:
    with pytest.raises(ReleaseRefused, match=match) as error:
        loaded(held, here or Here(), where="r")
    text = str(error.value)
    assert text.startswith("r: ")
    assert text.isprintable()
    assert len(text) < 500


def at(path: str, value: object) -> Change:
    """Set the field at a dotted path."""

    def change(body: dict[str, Any]) -> None:
        *outer, last = path.split(".")
        for name in outer:
            body = body[name]
        body[last] = value

    return change


def test_a_release_decides_as_it_was_compiled() -> None:
    made = a_promotion()
    champion = loaded(files_of(made, at_s=AT_S), token="v1")
    assert champion.controller.candidate == made.controller.candidate
    assert (champion.release.name, champion.release.created_s, champion.token) == ("planted", AT_S, "v1")
    assert champion.report["kind"] == "ungated"
    assert champion.release.digest == json.loads(FAN[MANIFEST])["digest"]


def test_a_release_that_asks_a_model_needs_that_model() -> None:
    champion = loaded(ASKING, Here(lm=LM))
    assert (models_of(champion.controller), champion.release.fingerprints.models) == (("scripted",), ("scripted",))
    refused(ASKING, r"state\.json: steer: this policy asks a model \(scripted\); name one with --lm")
    other, _ = scripted_lm(lambda prompt: "")
    other.model = "other"
    refused(ASKING, r"state\.json: steer: this policy was made for scripted, not other", Here(lm=other))


# What was edited without signing again.


@pytest.mark.parametrize("name", [MANIFEST, STATE, REPORT])
@given(data=st.data())
def test_no_byte_of_any_file_can_be_changed(name: str, data: st.DataObject) -> None:
    whole = FAN[name]
    place = data.draw(st.integers(0, len(whole) - 1))
    flipped = whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :]
    try:
        same = name == MANIFEST and json.loads(flipped.decode()) == json.loads(whole)
    except (ValueError, RecursionError):
        same = False
    if same:  # other white space between the same fields
        assert loaded({**FAN, name: flipped}).release == loaded(FAN).release
    else:
        with pytest.raises(ReleaseRefused, match=None if name == MANIFEST else name):
            loaded({**FAN, name: flipped})


@pytest.mark.parametrize("name", [MANIFEST, STATE, REPORT])
def test_no_file_can_be_cut_short(name: str) -> None:
    for kept in (0, 1, len(FAN[name]) // 2, len(FAN[name]) - 2):
        refused({**FAN, name: FAN[name][:kept]}, name)


@pytest.mark.parametrize("name", [STATE, REPORT])
def test_a_file_of_another_release_is_refused(name: str) -> None:
    other = files(telling("pump"))
    refused({**FAN, name: other[name]}, f"{name}: its digest is not the manifest's; it was edited or replaced")


@pytest.mark.parametrize("digest", [None, "", 7, ["x"], "0" * 24])
def test_an_unsigned_manifest_is_refused(digest: object) -> None:
    body = json.loads(FAN[MANIFEST])
    del body["digest"]
    if digest is not None:
        body["digest"] = digest
    refused({**FAN, MANIFEST: json.dumps(body).encode()}, r"manifest\.json: digest")


def test_three_files_are_a_release() -> None:
    refused({MANIFEST: FAN[MANIFEST]}, "is not a release")
    refused({**FAN, "state.pkl": b""}, "is not a release")


# What was edited and signed again: by digests alone it fits.


def other_kind(body: dict[str, Any]) -> None:
    body["schemas"]["stop"]["confidence"] = body["schemas"]["stop"]["confidence"].replace("float", "int")


def swapped(body: dict[str, Any]) -> None:
    schemas = body["schemas"]
    schemas["stop"] = dict(reversed(schemas["stop"].items()))


def renamed(body: dict[str, Any]) -> None:
    fields = body["schemas"]["steer"]
    fields["advice"] = fields.pop("action")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (at("format", "tiller-release/2"), "format: 'tiller-release/2' is not"),
        (at("format", {"\x1b[2J": ["x"] * 100}), "format: "),
        (at("name", "../../etc"), "name: "),
        (at("name", ""), "name: "),
        (at("extra", 1), "extra: Extra inputs are not permitted"),
        (at("\x1b[31m\n", 1), "Extra inputs"),
        (at("exploration", 0.6), "exploration: "),
        (at("exploration", -0.1), "exploration: "),
        (at("exploration", "0.1"), "exploration: "),
        (at("exploration", 0.21), "exploration: 0.21 each cannot hold for 5 steers"),
        (at("exploration", None), "exploration: "),
        (at("steer_legal", []), "steer_legal: "),
        (at("steer_legal", ["none", "none"]), "steer_legal: "),
        (at("granted", {}), "granted: "),
        (at("created_s", -1.0), "created_s: "),
        (at("created_s", True), "created_s: "),
        (at("schema_version", 2), "schema_version: "),
        (at("ungated", ""), "ungated: a release has a certificate, or says why it has none"),
        (at("ungated", " "), "ungated: a release has a certificate, or says why it has none"),
        (at("candidate", "0" * 24), "candidate: "),
        (at("fingerprints.dspy", "3.3.0"), "fingerprints.dspy: '3.3.0' does not fit"),
        (at("fingerprints.adapter", "JSONAdapter 0"), "fingerprints.adapter: "),
        (at("fingerprints.models", ["gpt"]), "fingerprints.models: "),
        (at("schemas", {}), "schemas.stop.task: made for no such field"),
        (at("schemas.stop.extra", "input str"), "schemas.stop.extra: made for input str, here it is no such field"),
        (other_kind, "schemas.stop.confidence: made for output <class 'int'>, here it is output <class 'float'>"),
        (swapped, "schemas.stop: the fields are in another order"),
        (renamed, "schemas.steer.action: made for no such field"),
        (at("schemas.plan", {}), "schemas.plan"),
        (at("fallback.steer", "{"), "fallback.steer: not JSON"),
        (at("fallback.steer", '{"tier":"frontier"}'), "fallback.steer: not a decision list"),
        (at("fallback.steer", '{"otherwise":{"a":1,"a":2}}'), "fallback.steer: .*stands twice"),
        (at("lineage.generation", -1), "lineage.generation: "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_field_that_does_not_fit_is_named(change: Change, field: str) -> None:
    refused(resigned(FAN, change), field)


def test_a_small_budget_bears_more_exploration_than_a_large_one() -> None:
    narrow = {"steer_legal": ["none"], "turns_per_attempt": 3}

    def changed(exploration: float, attempts: int | None) -> Files:
        granted = {**json.loads(FAN[MANIFEST])["granted"], "attempts": attempts}
        return resigned(FAN, lambda body: body.update(narrow, exploration=exploration, granted=granted))

    loaded(changed(0.5, 2))
    refused(changed(0.34, 3), "exploration: 0.34 each cannot hold for 3 actions")
    loaded(changed(0.16, None))
    refused(changed(0.17, None), "exploration: 0.17 each cannot hold for 6 actions")


@pytest.mark.parametrize("attempts", range(1, 9))
def test_the_most_topology_actions_are_those_of_the_moves(attempts: int) -> None:
    histories = [[], [seen(0, correct=0.5)], [seen(0, correct=0.9), seen(1, correct=0.1)]]
    most = max(len(legal_topology(made, attempts - len(made))) for made in histories if len(made) <= attempts)
    granted = {**json.loads(FAN[MANIFEST])["granted"], "attempts": attempts}
    change = {"steer_legal": ["none"], "granted": granted}
    loaded(resigned(FAN, lambda body: body.update(change, exploration=min(0.5, 1 / most))))
    if most > 2:
        over = 1 / most + 0.001
        refused(resigned(FAN, lambda body: body.update(change, exploration=over)), f"cannot hold for {most} actions")
    assert most <= MAX_FANOUT + 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (at("format", "other/1"), "not a controller of format"),
        (at("extra", 1), "controller: extra"),
        (at("schemas.stop", "0" * 24), "stop was saved for another signature"),
        (at("components", {}), "a candidate has the components"),
        (at("components.stop", 7), "controller: components.stop"),
        (at("components.stop", "{"), "stop: not JSON"),
        (at("components.stop", '{"tier":"rule","otherwise":{"done":NaN}}'), "stop: not JSON: NaN is no number"),
        (at("components.stop", '{"tier":"rule","otherwise":{"done":1},"otherwise":{"done":0}}'), "stop: .*twice"),
        (at("components.stop", '{"tier":"rule","rules":' + "[" * 5000 + "]" * 5000 + "}"), "stop: n"),
        (at("components.stop", '{"tier":"rule","otherwise":{"done":-1}}'), "not a decision list"),
        (at("components.stop", '{"tier":"rule","otherwise":{"done":1},"run":"x"}'), "not a decision list"),
        (at("components.stop", '{"tier":"pickle","otherwise":{"done":1}}'), "stop: a component is a JSON object"),
        (at("components.stop", '{"tier":"rule","rules":[],"otherwise":{"done":1.0}}'), "candidate: "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_state_that_does_not_fit_is_refused(change: Change, field: str) -> None:
    refused(resigned(FAN, change, STATE), field)


@pytest.mark.parametrize("data", [b"\x80\x04.", b"[]", b'{"a": NaN}', b'{"a":1,"a":1}', b"[" * 100_000, b"\xff"])
@pytest.mark.parametrize("name", [STATE, REPORT])
def test_a_file_that_is_no_json_is_refused_by_name(name: str, data: bytes) -> None:
    refused(sealed({**FAN, name: data}), name)


def test_a_model_that_the_manifest_does_not_name_is_refused() -> None:
    held = resigned(ASKING, at("fingerprints.models", []))
    refused(held, "fingerprints.models: '\\(\\)' does not fit", Here(lm=LM))


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["\ud800", "\x00", "../..", "{}", '{"otherwise":{"a":1}}', "[" * 5000, "x" * 5000]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def places(body: object, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Of every field, and of every field in it."""
    for name, value in body.items() if isinstance(body, dict) else ():
        yield (*at, name)
        yield from places(value, (*at, name))


@pytest.mark.parametrize("file", [MANIFEST, STATE])
@given(data=st.data())
def test_whatever_a_forger_puts_into_a_field_is_a_release_or_refused_in_one_line(
    file: str, data: st.DataObject
) -> None:
    place = data.draw(st.sampled_from([one for one in places(json.loads(GATED[file])) if one != ("digest",)]))
    value = data.draw(ODD)

    def change(body: dict[str, Any]) -> None:
        for name in place[:-1]:
            body = body[name]
        body[place[-1]] = value

    try:
        loaded(resigned(GATED, change, file), where="r")
    except ReleaseRefused as error:
        assert str(error).isprintable()
        assert len(str(error)) < 600


# The certificate.


def test_a_certified_release_loads() -> None:
    release = loaded(GATED).release
    assert release.certificate is not None
    assert (release.certificate.decision, release.ungated) == ("promote", "")


@pytest.mark.parametrize("name", ["candidate", "benchmark", "report", "sentence"])
def test_a_certificate_of_something_else_is_refused(name: str) -> None:
    refused(resigned(GATED, at(f"certificate.{name}", "forged")), f"certificate.{name}: ")


@pytest.mark.parametrize("decision", ["hold", "harm", "underpowered", "PROMOTE", None])
def test_a_certificate_that_does_not_say_promote_is_refused(decision: str | None) -> None:
    refused(resigned(GATED, at("certificate.decision", decision)), r"certificate\.decision: ")


def rewritten(**changed: object) -> Files:
    """A report that was rewritten, with certificate and manifest made to fit its bytes."""
    report = json.dumps({**json.loads(GATED[REPORT]), **changed}).encode()
    held = resigned({**GATED, REPORT: report}, at("certificate.report", digest_bytes(report)))
    return sealed(held)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"sentence": "hold: no difference"}, "certificate.sentence"),
        ({"benchmark": "other"}, "certificate.benchmark"),
        ({"contrasts": []}, "certificate.decision"),
        ({"contrasts": "promote"}, "certificate.decision"),
        ({"contrasts": [1, {"decided": None}, {"decided": {"decision": "hold"}}]}, "certificate.decision"),
        ({"contrasts": [{"decided": {"decision": "hold"}}, {"decided": {"decision": "promote"}}]}, "decision"),
    ],
)
def test_a_report_that_says_something_else_is_refused(changed: Mapping[str, object], field: str) -> None:
    refused(rewritten(**changed), field)


def test_a_certificate_cannot_be_given_to_an_ungated_release() -> None:
    certificate = json.loads(GATED[MANIFEST])["certificate"]
    refused(resigned(FAN, at("certificate", certificate)), "ungated: a release has a certificate, or says why")
    both = resigned(FAN, lambda body: body.update(certificate=certificate, ungated=""))
    refused(both, "certificate.report: ")


def test_a_forgery_that_fits_in_itself_is_caught_by_whoever_knows_the_digest() -> None:
    """All three files replaced: nothing inside can show it, the ledger's digest does."""
    forged = files_of(gated(a_promotion(telling("core")), ledger_rows=1), at_s=AT_S)
    loaded(forged)
    known = loaded(GATED).release.digest
    refused(forged, "digest: ", Here(digest=known))
    loaded(GATED, Here(digest=known, name="planted"))


# Where it is loaded into.


def test_another_model_of_the_registry_is_refused() -> None:
    refused(FAN, "name: 'planted' does not fit 'telecom'", Here(name="telecom"))


@pytest.mark.parametrize("field", ["name", "model", "params"])
def test_another_worker_is_refused(field: str) -> None:
    worker = PlantedBenchmark().worker(None, None).fingerprint
    loaded(FAN, Here(worker=worker))
    value: object = {"noise": "0.9"} if field == "params" else "other"
    other = worker.model_copy(update={field: value})
    refused(FAN, f"fingerprints.worker.{field}: ", Here(worker=other))


def test_fingerprints_are_of_what_is_installed() -> None:
    import dspy

    here = fingerprints_of(("m",), None)
    assert (here.dspy, here.models, here.worker) == (dspy.__version__, ("m",), WorkerFingerprint(name=""))
    assert here.adapter == adapter_fingerprint()
    assert here.adapter.startswith("ChatAdapter ")
    require_fingerprints("r", here, here)
    with pytest.raises(ReleaseRefused, match=r"fingerprints\.models"):
        require_fingerprints("r", here, here.model_copy(update={"models": ()}))
    require_fingerprints("r", here.model_copy(update={"tiller": "0.0.1"}), here)


def test_schemas_say_fields_directions_and_types() -> None:
    assert schemas_here()["stop"]["confidence"] == "output <class 'float'>"
    assert list(schemas_here()) == ["stop", "topology", "steer"]


# Folders.


def test_a_folder_is_a_source(tmp_path: Path) -> None:
    put(tmp_path, FAN)
    source = FolderSource(tmp_path)
    first = load_champion(source)
    assert (first.token, source.shown) == (source.current(), str(tmp_path))
    put(tmp_path, GATED)
    assert source.current() != first.token
    with pytest.raises(StoreError, match="replaced while it was read") as error:
        source.files(first.token)
    assert error.value.retryable
    assert load_champion(source).release.certificate is not None


def test_a_folder_that_is_not_there_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"manifest\.json: cannot be read"):
        load_champion(FolderSource(tmp_path))


def test_loading_writes_nothing_and_runs_nothing(tmp_path: Path) -> None:
    put(tmp_path, ASKING)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    load_champion(FolderSource(tmp_path), Here(lm=LM))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_no_key_stands_in_a_release() -> None:
    import dspy

    lm = dspy.LM("openai/gpt", api_key="sk-secret", api_base="http://me:word@localhost", cache=False)
    held = files_of(replace(a_promotion(asking(lm), lm)), at_s=AT_S)
    whole = b"".join(held.values())
    assert b"openai/gpt" in whole
    assert b"secret" not in whole
    assert b"word@" not in whole


def test_the_digest_of_a_manifest_is_that_of_its_record() -> None:
    body = json.loads(FAN[MANIFEST])
    signed = body.pop("digest")
    assert signed == digest_of(body) == loaded(FAN).release.digest


PROGRAM = files(builtin.refine("fan"))


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"tier":"rule","source":"import os"}', "state.json: strategy program, line 1"),
        ('{"tier":"rule"}', "program: source: Field required"),
        ('{"tier":"rule","source":"x","source":"y"}', "program: .*twice"),
        ('{"tier":"frontier","source":"async def strategy(ctx):\\n    return\\n","model":"m"}', "asks a model .m."),
        ('{"tier":"rule","source":"async def strategy(ctx):\\n    return\\n"}', "candidate: "),
    ],
)
def test_a_program_that_does_not_fit_is_refused(text: str, field: str) -> None:
    refused(resigned(PROGRAM, at("components", {"program": text}), STATE), field)


def test_a_program_without_rules_behind_it_is_refused() -> None:
    assert loaded(PROGRAM).controller.begins_with_stop
    behind = {name: text for name, text in json.loads(PROGRAM[MANIFEST])["fallback"].items() if name != "topology"}
    refused(resigned(PROGRAM, at("fallback", behind)), "fallback.topology: is missing")
