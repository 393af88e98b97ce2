"""Tiers: where decisions are made, and which of a model's decisions a rule could make as well."""
