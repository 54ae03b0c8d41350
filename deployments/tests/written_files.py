"""Deployment files as the command line writes them: `domain.deployment_file_text` only reads."""

import json

import yaml

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def dump_yaml(document: object) -> str:
    return yaml.dump(document, Dumper=DUMPER, sort_keys=False, allow_unicode=True, width=110)


def dump_json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
