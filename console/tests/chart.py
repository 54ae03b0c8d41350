"""The Helm chart, rendered: by a Go template engine in Python for every test, by the real Helm where there is one."""

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from gotpl.exts.helm.runtime import HelmTemplateEngine

CHART = Path(__file__).resolve().parents[2] / "deploy" / "helm" / "airdeck"
RELEASE, NAMESPACE = "airdeck", "airdeck"
Values = dict[str, Any]

LEAST: Values = {
    "image": {"repository": "registry.example.org/airdeck"},
    "host": "airdeck.example.org",
    "existingSecret": "airdeck",
    "mail": {"host": "mail.example.org"},
}
PEER = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}
PROMETHEUS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
POSTGRES = {"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}], "ports": [{"protocol": "TCP", "port": 5432}]}
SETS: dict[str, Values] = {
    "least": {},
    "in-cluster": {
        "inCluster": {
            "enabled": True,
            "register": {
                "name": "Production 1", "ingressDomain": "airflow.example.org",
                "settings": {"worker_grace": "3600", "ingress_annotations": '{"a": "b c"}'},
            },
        },
        "serviceAccount": {"annotations": {"example.org/role": "airdeck"}},
    },
    "pinned": {
        "image": {"digest": f"sha256:{'ab' * 32}", "pullPolicy": "Always", "pullSecrets": ["registry", "mirror"]},
    },
    "fenced": {
        "networkPolicy": {"ingressFrom": [PEER], "egress": [POSTGRES, {"ports": [{"protocol": "TCP", "port": 6379}]}]},
        "ingress": {"className": "nginx", "tlsSecret": "airdeck-tls", "annotations": {"cert-manager.io/issuer": "ca"}},
        "additionalHosts": ["console.example.org"],
        "service": {"annotations": {"cloud.google.com/backend-config": '{"default": "airdeck"}'}},
    },
    "bare": {
        "ingress": {"enabled": False}, "networkPolicy": {"enabled": False}, "podDisruptionBudget": {"enabled": False},
        "web": {"replicas": 1}, "worker": {"replicas": 1}, "observer": {"replicas": 1},
    },
    "placed": {
        "nodeSelector": {"kubernetes.io/arch": "arm64"},
        "tolerations": [{"key": "console", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "podAnnotations": {"example.org/team": "platform: 'one'"},
        "worker": {"replicas": 5, "concurrency": 8},
        "mail": {"user": "airdeck", "tls": False, "port": 465, "from": "Data <data@example.org>"},
        "env": {
            "OPEN_SIGNUP": "false", "LOG_LEVEL": "WARNING", "BASE_URL": "https://airdeck.example.org:8443",
            "OIDC_CLIENT_SECRET_FILE": "/etc/airdeck/OIDC_CLIENT_SECRET",
        },
        "trustedProxyCount": 2,
    },
    "watched": {
        "metrics": {
            "enabled": True, "port": 9999, "from": [PROMETHEUS],
            "serviceMonitor": {"enabled": True, "interval": "15s", "labels": {"release": "prometheus"}},
        },
    },
}  # fmt: skip


def _merged(under: Values, over: Values) -> Values:
    """As helm merges: objects by key, everything else whole."""
    both = {
        key: _merged(under[key], over[key])
        for key in under.keys() & over.keys()
        if isinstance(under[key], dict) and isinstance(over[key], dict)
    }
    return under | over | both


def given(changes: Values) -> Values:
    """What an operator writes: the least, and these."""
    return _merged(LEAST, changes)


class _Files:
    def Get(self, name: str) -> str:
        return (CHART / name).read_text()


@functools.cache
def _engine() -> HelmTemplateEngine:
    files = sorted((CHART / "templates").iterdir())
    return HelmTemplateEngine.from_sources({file.name: file.read_text() for file in files}, strict=True)


def rendered(changes: Values, namespace: str = NAMESPACE) -> list[dict[str, Any]]:
    """The objects, in a fixed order. Raises jsonschema's ValidationError for values that the chart's schema refuses."""
    values = _merged(yaml.safe_load((CHART / "values.yaml").read_text()), given(changes))
    jsonschema.validate(values, schema())
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    context = {
        "Values": values,
        "Chart": {"Name": chart["name"], "Version": chart["version"], "AppVersion": chart["appVersion"]},
        "Release": {"Name": RELEASE, "Namespace": namespace, "Service": "Helm"},
        "Files": _Files(),
    }
    names = [file.name for file in (CHART / "templates").glob("*.yaml")]
    return _ordered("\n---\n".join(_engine().render(dict.fromkeys(names, context)).values()))


def by_helm(helm: Any, changes: Values) -> list[dict[str, Any]]:
    """The same by Helm's own code, which checks the values against the schema first and raises its HelmValuesError.
    `helm` is the module `helm_python`."""
    with helm.Chart.load(str(CHART)) as loaded:
        loaded.validate_schema(given(changes))
        files = loaded.render(given(changes), name=RELEASE, namespace=NAMESPACE)
    return _ordered("\n---\n".join(text for name, text in files.items() if name.endswith(".yaml")))


def schema() -> dict[str, Any]:
    """Of the values."""
    return json.loads((CHART / "values.schema.json").read_text())


def _ordered(text: str) -> list[dict[str, Any]]:
    objects = [each for each in yaml.safe_load_all(text) if each]
    return sorted(objects, key=lambda each: (each["kind"], each["metadata"]["name"]))
