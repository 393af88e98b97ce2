"""The controller: the one `dspy.Module`, of three policies, each its own or all one strategy program's.

Its predictors are what dspy's optimizers find.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, TypeAlias, cast, get_args

import dspy
from pydantic import BaseModel, ConfigDict, ValidationError

from controllers.policies import Policy
from controllers.policies.choice import KIND, ChoicePolicy, parse_choice
from controllers.policies.lm import LMPolicy
from controllers.policies.rule import RulePolicy, parse_rules
from controllers.programs.language import canonical
from controllers.programs.policy import Program, ProgramPolicy
from signatures.digest import canonical_json, digest_of
from signatures.errors import UsageError
from signatures.policies import schema_digest, signature_of
from signatures.records import Candidate, PolicyName, Tier

NAMES: Final[tuple[PolicyName, ...]] = get_args(PolicyName)
PROGRAM: Final = "program"
"""The one component of a candidate that is a strategy program."""
FORMAT: Final = "tiller-controller/1"
Models: TypeAlias = dspy.LM | Mapping[str, dspy.LM] | None
"""The model of all language-model policies, or several by model string, for a controller of mixed tiers."""


class _Saved(BaseModel):
    """A saved controller without its digest."""

    model_config = ConfigDict(strict=True, extra="forbid")

    format: str
    components: dict[str, str]
    schemas: dict[str, str]


class _ProgramBody(BaseModel):
    """The component of a strategy program."""

    model_config = ConfigDict(strict=True, extra="forbid")

    tier: Tier
    source: str
    model: str | None = None


class Controller(dspy.Module):
    """Stop, topology and steer. Tiers may be mixed."""

    def __init__(self, *, stop: Policy, topology: Policy, steer: Policy, program: Program | None = None) -> None:
        """`program`: whose the three policies are, where they are one strategy program's."""
        super().__init__()
        self.policies: dict[PolicyName, Policy] = {"stop": stop, "topology": topology, "steer": steer}
        self.program = program

    @property
    def begins_with_stop(self) -> bool:
        """Whether it is asked before the first attempt too if there is to be any: a program may want none."""
        return self.program is not None

    def named_parameters(self) -> list[tuple[str, dspy.Predict]]:
        """The predictors of the policies themselves: what an optimizer edits or replaces is what decides."""
        found = ((name, policy) for name, policy in self.policies.items() if isinstance(policy, LMPolicy))
        return [(f"policies['{name}'].predict", policy.predict) for name, policy in found]

    @property
    def candidate(self) -> Candidate:
        """The texts of the policies, or of the program: what an optimizer edits and what the digest is of."""
        if self.program is not None:
            return Candidate(components={PROGRAM: self.program.text})
        return Candidate(components={name: policy.text for name, policy in self.policies.items()})

    @property
    def digest(self) -> str:
        """Names the controller by its content."""
        return self.candidate.digest

    def dumps(self) -> str:
        """The controller as JSON: component texts and the signature schemas they were made for."""
        schemas = {name: schema_digest(signature_of(name)) for name in NAMES}
        body = {"format": FORMAT, "components": dict(self.candidate.components), "schemas": schemas}
        return json.dumps({**body, "digest": digest_of(body)}, indent=2, sort_keys=True)


def loads(text: str, lm: Models = None) -> Controller:
    """The controller in `text`. Raises UsageError naming what does not match: format, digest or a signature."""
    try:
        body = json.loads(text)
    except ValueError as error:
        raise UsageError(f"not a controller: {error}") from error
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise UsageError(f"not a controller of format {FORMAT}")
    signed = body.pop("digest", None)
    if signed != digest_of(body):
        raise UsageError("controller: the digest does not match; the file was edited")
    try:
        saved = _Saved.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"controller: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    for name in NAMES:
        if saved.schemas.get(name) != schema_digest(signature_of(name)):
            raise UsageError(f"controller: {name} was saved for another signature; it cannot be loaded into this one")
    return controller_of(Candidate(components=saved.components), lm)


def controller_of(candidate: Candidate, lm: Models = None) -> Controller:
    """The controller of a candidate's components. Raises UsageError naming the component that is missing or bad."""
    if set(candidate.components) == {PROGRAM}:
        return programmed(program_of(candidate.components[PROGRAM], lm))
    if set(candidate.components) != set(NAMES):
        named = ", ".join(candidate.components)
        raise UsageError(f"a candidate has the components {', '.join(NAMES)}, not {named}; or {PROGRAM} alone")
    stop, topology, steer = (policy_of(name, candidate.components[name], lm) for name in NAMES)
    return Controller(stop=stop, topology=topology, steer=steer)


def policy_of(name: PolicyName, text: str, lm: Models) -> Policy:
    """The policy in a component's JSON text. Raises UsageError."""
    try:
        body = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{name}: not JSON: {error}") from error
    if not isinstance(body, dict) or body.get("tier") not in ("rule", "resident", "frontier"):
        raise UsageError(f"{name}: a component is a JSON object with a tier: rule, resident or frontier")
    if body["tier"] == "rule":
        return RulePolicy(parse_rules(text))
    if body.get("kind") == KIND:
        return ChoicePolicy(name, _model_of(name, body.get("model"), lm), parse_choice(name, body))
    return _lm_policy(name, body, lm)


def programmed(program: Program) -> Controller:
    """The controller that is this program."""
    stop, topology, steer = (ProgramPolicy(name, program) for name in NAMES)
    return Controller(stop=stop, topology=topology, steer=steer, program=program)


def program_of(text: str, lm: Models = None) -> Program:
    """The program in a component's JSON text. Raises UsageError; ProgramRefused where it is not in the language."""
    try:
        body = _ProgramBody.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{PROGRAM}: {'.'.join(map(str, first['loc'])) or 'the text'}: {first['msg']}") from error
    if (body.model is None) != (body.tier == "rule"):
        raise UsageError(f"{PROGRAM}: names a model where its tier is resident or frontier, and none where it is rule")
    model = None if body.model is None else _model_of(PROGRAM, body.model, lm)
    return Program(body.source, tier=body.tier, lm=model)


def _model_of(name: str, wanted: object, models: Models) -> dspy.LM:
    """The model of that name. Raises UsageError."""
    if models is None:
        raise UsageError(f"{name}: this policy asks a model ({wanted}); name one with --lm")
    lm = models.get(str(wanted)) if isinstance(models, Mapping) else models
    if lm is None or wanted != lm.model:
        given = ", ".join(models) if isinstance(models, Mapping) else models.model
        raise UsageError(f"{name}: this policy was made for {wanted}, not {given}")
    return lm


def _lm_policy(name: PolicyName, body: Mapping[str, object], models: Models) -> LMPolicy:
    lm = _model_of(name, body.get("model"), models)
    instructions, demos = body.get("instructions"), body.get("demos", [])
    if not isinstance(instructions, str) or not isinstance(demos, list) or not all(isinstance(d, dict) for d in demos):
        raise UsageError(f"{name}: a model's policy has instructions, a text, and demos, a list of objects")
    policy = LMPolicy(name, lm, tier=cast(Tier, body["tier"]), instructions=instructions)
    policy.predict.demos = [dspy.Example(demo) for demo in demos]
    return policy


def lm_component(name: PolicyName, lm: dspy.LM, *, tier: Tier = "frontier") -> str:
    """The component of a language-model policy with its signature's own instructions."""
    return LMPolicy(name, lm, tier=tier).text


def program_candidate(source: str, lm: dspy.LM | None = None, *, tier: Tier = "resident") -> Candidate:
    """The candidate of a strategy program, its source in canonical form; with `lm` one that consults it, in `tier`.

    Raises ProgramRefused.
    """
    program = Program(canonical(source), tier="rule" if lm is None else tier, lm=lm)
    return Candidate(components={PROGRAM: program.text})


def rule_component(rules: list[dict[str, object]], otherwise: Mapping[str, float]) -> str:
    """The component of a decision list, in canonical form."""
    return RulePolicy(parse_rules(canonical_json({"rules": rules, "otherwise": dict(otherwise)}))).text
