"""How components and browsers reach what answers: Services and the Ingress."""

from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.manifests import configuration as conf
from deployments.dataplane.kubernetes.manifests.inputs import Inputs, Manifest
from deployments.domain.states import Executor

CERTIFICATE = "airflow-tls"


def services(inputs: Inputs) -> tuple[Manifest, ...]:
    """The API server, by whose name tasks reach it, the code server and Redis."""
    found = [
        _service(inputs, names.API_SERVER, http=conf.API_PORT),
        _service(
            inputs, names.CODE_SERVER, **{"code": conf.CODE_PORT, names.LOGS_PORT: conf.LOG_READER_PORT}
        ),
    ]
    if inputs.release.executor is Executor.CELERY:
        found.append(_service(inputs, names.REDIS, redis=conf.REDIS_PORT))
    return tuple(found)


def ingress(inputs: Inputs) -> tuple[Manifest, ...]:
    """https://<release name>.<domain>, or nothing in a cluster without a domain. TLS ends at the controller: with
    a certificate of this host from cert-manager, or with the controller's own default one."""
    settings = inputs.settings
    if not settings.ingress_domain:
        return ()
    host = inputs.address.removeprefix("https://")
    service = {"name": names.API_SERVER, "port": {"name": "http"}}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": service}}
    tls: Manifest = {"hosts": [host]}
    annotations = dict(settings.ingress_annotations)
    if settings.ingress_issuer:
        annotations["cert-manager.io/cluster-issuer"] = settings.ingress_issuer
        tls["secretName"] = CERTIFICATE
    spec: Manifest = {"rules": [{"host": host, "http": {"paths": [path]}}], "tls": [tls]}
    if settings.ingress_class:
        spec["ingressClassName"] = settings.ingress_class
    meta = inputs.meta(names.API_SERVER, names.API_SERVER, annotations=annotations)
    return ({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": meta, "spec": spec},)


def _service(inputs: Inputs, component: str, **ports: int) -> Manifest:
    spec = {
        "selector": names.selector(inputs.ref, component),
        "ports": [
            {"name": name, "port": port, "targetPort": name, "protocol": "TCP"}
            for name, port in ports.items()
        ],
    }
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": inputs.meta(component, component),
        "spec": spec,
    }
