"""The controller: the one `dspy.Module`, of three policies. Its predictors are what dspy's optimizers find."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, TypeAlias, cast, get_args

import dspy
from pydantic import BaseModel, ConfigDict, ValidationError

from controllers.policies import Policy
from controllers.policies.lm import LMPolicy
from controllers.policies.rule import RulePolicy, parse_rules
from signatures.digest import canonical_json, digest_of
from signatures.errors import UsageError
from signatures.policies import schema_digest, signature_of
from signatures.records import Candidate, PolicyName, Tier

NAMES: Final[tuple[PolicyName, ...]] = get_args(PolicyName)
FORMAT: Final = "tiller-controller/1"
Models: TypeAlias = dspy.LM | Mapping[str, dspy.LM] | None
"""The model of all language-model policies, or several by model string, for a controller of mixed tiers."""


class _Saved(BaseModel):
    """A saved controller without its digest."""

    model_config = ConfigDict(strict=True, extra="forbid")

    format: str
    components: dict[str, str]
    schemas: dict[str, str]


class Controller(dspy.Module):
    """Stop, topology and steer. Tiers may be mixed."""

    def __init__(self, *, stop: Policy, topology: Policy, steer: Policy) -> None:
        super().__init__()
        self.policies: dict[PolicyName, Policy] = {"stop": stop, "topology": topology, "steer": steer}

    def named_parameters(self) -> list[tuple[str, dspy.Predict]]:
        """The predictors of the policies themselves: what an optimizer edits or replaces is what decides."""
        found = ((name, policy) for name, policy in self.policies.items() if isinstance(policy, LMPolicy))
        return [(f"policies['{name}'].predict", policy.predict) for name, policy in found]

    @property
    def candidate(self) -> Candidate:
        """The texts of the policies: what an optimizer edits and what the digest is of."""
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
    if set(candidate.components) != set(NAMES):
        raise UsageError(f"a candidate has the components {', '.join(NAMES)}, not {', '.join(candidate.components)}")
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
    return _lm_policy(name, body, lm)


def _lm_policy(name: PolicyName, body: Mapping[str, object], models: Models) -> LMPolicy:
    wanted = body.get("model")
    if models is None:
        raise UsageError(f"{name}: this policy asks a model ({wanted}); name one with --lm")
    lm = models.get(str(wanted)) if isinstance(models, Mapping) else models
    if lm is None or wanted != lm.model:
        given = ", ".join(models) if isinstance(models, Mapping) else models.model
        raise UsageError(f"{name}: this policy was made for {wanted}, not {given}")
    instructions, demos = body.get("instructions"), body.get("demos", [])
    if not isinstance(instructions, str) or not isinstance(demos, list) or not all(isinstance(d, dict) for d in demos):
        raise UsageError(f"{name}: a model's policy has instructions, a text, and demos, a list of objects")
    policy = LMPolicy(name, lm, tier=cast(Tier, body["tier"]), instructions=instructions)
    policy.predict.demos = [dspy.Example(demo) for demo in demos]
    return policy


def lm_component(name: PolicyName, lm: dspy.LM, *, tier: Tier = "frontier") -> str:
    """The component of a language-model policy with its signature's own instructions."""
    return LMPolicy(name, lm, tier=tier).text


def rule_component(rules: list[dict[str, object]], otherwise: Mapping[str, float]) -> str:
    """The component of a decision list, in canonical form."""
    return RulePolicy(parse_rules(canonical_json({"rules": rules, "otherwise": dict(otherwise)}))).text
