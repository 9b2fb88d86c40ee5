"""What no schema knows of packaging/kubernetes, of .dockerignore and of the SBOM: whether the parts fit each other and the program.

    manifests.py kubernetes SERVER MIGRATE SECRETS   rendered manifests, and the example's secrets
    manifests.py dockerignore DEPINFO                what cargo read to build the program, as it wrote it
    manifests.py sbom FILE

Each rule of the manifests is also broken once here, and must then be seen: a rule that never fired is no rule.
"""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def documents(path):
    import yaml

    return [document for document in yaml.safe_load_all(Path(path).read_text()) if document]


def of(kind, manifests):
    return next(manifest for manifest in manifests if manifest["kind"] == kind)


def pod(workload):
    return workload["spec"]["template"]["spec"]


# --- rules: each says what is wrong ---------------------------------------------------------------------------------


def restricted(workload):
    """The Pod Security Standard of that name, a read-only root, and no token of the cluster."""
    spec, container = pod(workload), pod(workload)["containers"][0]
    pod_wide, own = spec.get("securityContext", {}), container.get("securityContext", {})
    if not pod_wide.get("runAsNonRoot") or not pod_wide.get("runAsUser"):
        yield "may run as root"
    if pod_wide.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    if own.get("capabilities") != {"drop": ["ALL"]}:
        yield "keeps capabilities"
    if not own.get("readOnlyRootFilesystem"):
        yield "may write to its root"
    if spec.get("automountServiceAccountToken") is not False:
        yield "gets a token of the cluster"
    if "memory" not in container.get("resources", {}).get("limits", {}):
        yield "has no bound on memory"


def secrets(workload, known):
    """Secrets come as files, which the example has, each under the name of one setting; none is in the environment."""
    container = pod(workload)["containers"][0]
    mount, volume = container["volumeMounts"][0], pod(workload)["volumes"][0]
    secret = next((s for s in known if s["metadata"]["name"] == volume["secret"]["secretName"]), None)
    if secret is None:
        yield "mounts a secret that the example lacks"
        return
    files = {f"{mount['mountPath']}/{key}" for key in secret["stringData"]}
    named = {variable["value"] for variable in container["env"] if variable["name"].endswith("_FILE")}
    if files != named:
        yield f"names other files than the secret has: {sorted(files ^ named)}"
    if any(not variable["name"].endswith("_FILE") for variable in container["env"]):
        yield "has a secret in its environment"
    if volume["secret"].get("defaultMode") != 0o440:
        yield "lets others read its secrets"


def settings(workload, variables):
    """Each variable is one that the command reads, or the file of one."""
    command = pod(workload)["containers"][0]["args"][0]
    names = [variable["name"].removesuffix("_FILE") for variable in pod(workload)["containers"][0]["env"]]
    help = subprocess.run([program(), command, "--help"], check=True, capture_output=True, text=True).stdout
    for name in [*names, *variables]:
        if f"[env: {name}]" not in help:
            yield f"sets {name}, which `vicket {command}` does not read"


def server(manifests):
    """Service, budget, policy and spread select the pods, and probes ask what the server answers."""
    deployment = of("Deployment", manifests)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        of("Service", manifests)["spec"]["selector"],
        of("PodDisruptionBudget", manifests)["spec"]["selector"]["matchLabels"],
        of("NetworkPolicy", manifests)["spec"]["podSelector"]["matchLabels"],
        *(spread["labelSelector"]["matchLabels"] for spread in pod(deployment)["topologySpreadConstraints"]),
    ]
    if any(selector != labels for selector in selectors):
        yield "selects other pods than its own"
    container = pod(deployment)["containers"][0]
    ports = {port["name"] for port in container["ports"]}
    asked = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    if {name: probe["path"] for name, probe in asked.items()} != {
        "startup": "/healthz",
        "liveness": "/healthz",
        "readiness": "/readyz",
    }:
        yield "asks the wrong path"
    to = [probe["port"] for probe in asked.values()] + [of("Service", manifests)["spec"]["ports"][0]["targetPort"]]
    if not ports.issuperset(to):
        yield "names a port that is none"
    drain = int(of("ConfigMap", manifests)["data"]["VICKET_DRAIN_DELAY"])
    # 20 s for requests in flight, and the end.
    if pod(deployment)["terminationGracePeriodSeconds"] < drain + 30:
        yield "is killed before it has drained"


def program():
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug/vicket"


def found(manifests, job, known):
    deployment = of("Deployment", manifests)
    for workload in (deployment, job):
        yield from restricted(workload)
        yield from secrets(workload, known)
    yield from settings(deployment, of("ConfigMap", manifests)["data"])
    yield from settings(job, [])
    yield from server(manifests)


# --- each rule broken once -------------------------------------------------------------------------------------------


def broken(manifests, job, known):
    def container(workload):
        return pod(workload)["containers"][0]

    def each(change, says):
        copies = copy.deepcopy((manifests, job, known))
        change(of("Deployment", copies[0]), *copies)
        assert any(says in wrong for wrong in found(*copies)), f"nobody saw what {says}"

    each(lambda d, *_: pod(d)["securityContext"].pop("runAsUser"), "may run as root")
    each(lambda d, *_: pod(d)["securityContext"].pop("seccompProfile"), "has no seccomp profile")
    each(lambda d, *_: container(d)["securityContext"].pop("allowPrivilegeEscalation"), "may gain privileges")
    each(lambda d, *_: container(d)["securityContext"].update(capabilities={"add": ["NET_RAW"]}), "keeps capabilities")
    each(lambda d, m, job, k: container(job)["securityContext"].pop("readOnlyRootFilesystem"), "may write to its root")
    each(lambda d, *_: pod(d).pop("automountServiceAccountToken"), "gets a token")
    each(lambda d, *_: container(d)["resources"].pop("limits"), "has no bound on memory")
    each(lambda d, *_: pod(d)["volumes"][0]["secret"].update(secretName="other"), "the example lacks")
    each(lambda d, *_: pod(d)["volumes"][0]["secret"].pop("defaultMode"), "lets others read")
    each(lambda d, m, j, known: known[0]["stringData"].pop("agent-url"), "names other files")
    each(lambda d, *_: container(d)["env"].append({"name": "VICKET_AGENT_URL", "value": "x"}), "in its environment")
    each(lambda d, m, *_: of("ConfigMap", m)["data"].update(VICKET_PORT="1"), "sets VICKET_PORT")
    each(lambda d, m, *_: of("Service", m)["spec"]["selector"].popitem(), "selects other pods")
    each(lambda d, *_: container(d)["livenessProbe"]["httpGet"].update(path="/readyz"), "asks the wrong path")
    each(lambda d, m, *_: of("Service", m)["spec"]["ports"][0].update(targetPort="web"), "a port that is none")
    each(lambda d, m, *_: of("ConfigMap", m)["data"].update(VICKET_DRAIN_DELAY="55"), "before it has drained")


# --- the others ------------------------------------------------------------------------------------------------------


def dockerignore(depinfo):
    """What the build reads is let through, else the image cannot be built; and nothing that is not there."""
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    through = lambda path: any(path == there or path.startswith(f"{there}/") for there in allowed)
    files = [Path(file) for file in Path(depinfo).read_text().split(": ", 1)[1].split()]
    ours = [str(file.relative_to(ROOT)) for file in files if file.is_relative_to(ROOT)]
    assert len(ours) > 100, f"{depinfo} names {len(ours)} files of this tree: `cargo build` writes it anew"
    # Cargo reads the manifest of each member, and wants each target's first file to be there.
    for path in [*ours, "Cargo.toml", "Cargo.lock", "proofs/Cargo.toml", "benches/compare/main.rs", "tests/it/main.rs", "LICENSE"]:
        if not through(path):
            yield f".dockerignore does not let {path} through, which the build reads"
    for path in allowed:
        if not (ROOT / path).exists():
            yield f".dockerignore lets {path} through, which is nothing"
    for secret in (".env", ".git/config", ".vicket/dev.json", "target/debug/vicket"):
        if through(secret):
            yield f".dockerignore lets {secret} through"


def sbom(path):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = Path(path).read_text()
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        yield f"the SBOM is not CycloneDX 1.6: {error}"
    bom = json.loads(text)
    components = {component["name"]: component for component in bom["components"]}
    if not {"tokio", "sqlx", "poem", "ring", "clap"} <= components.keys() or "vicket-proofs" in components:
        yield "the SBOM is not of what is shipped"
    for component in components.values():
        if not component.get("licenses") or not component.get("hashes"):
            yield f"the SBOM says no licence or digest of {component['name']}"


def main(what, *paths):
    if what == "kubernetes":
        manifests, (job,), known = map(documents, paths)
        wrong = list(found(manifests, job, known))
        if not wrong:
            broken(manifests, job, known)
    else:
        wrong = list({"dockerignore": dockerignore, "sbom": sbom}[what](*paths))
    for line in wrong:
        print(f"{what}: {line}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


main(*sys.argv[1:])
