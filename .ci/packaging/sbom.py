"""Prints what the program is made of as CycloneDX 1.6: `sbom.py` from the root of the repository, after `cargo fetch`.

Every crate that the program links or is built with, on Linux, with its version, licence, digest and what it needs in turn; not
what only the tests use. The same commit gives the same bytes.
"""

import json
import re
import subprocess
import sys
import uuid
from datetime import datetime, timezone

TARGET = "x86_64-unknown-linux-gnu"


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def purl(package):
    # A `+` of a version is a space, unescaped.
    return f"pkg:cargo/{package['name']}@{package['version'].replace('+', '%2B')}"


def component(package, kind, digests):
    described = {
        "type": kind,
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "description": (package["description"] or "").strip(),
        "purl": purl(package),
    }
    if package["license"]:
        # Crates of before SPDX's syntax write a slash.
        described["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    digest = digests.get((package["name"], package["version"]))
    if digest:
        described["hashes"] = [{"alg": "SHA-256", "content": digest}]
    if package["repository"]:
        described["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return described


def main():
    metadata = json.loads(run("cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", TARGET))
    with open("Cargo.lock", encoding="utf-8") as lock:
        locked = re.findall(r'name = "(.*)"\nversion = "(.*)"\nsource = ".*"\nchecksum = "(.*)"', lock.read())
    digests = {(name, version): digest for name, version, digest in locked}
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]

    def needs(id):
        kinds = lambda dep: {kind["kind"] for kind in dep["dep_kinds"]}
        return sorted(dep["pkg"] for dep in nodes[id]["deps"] if kinds(dep) & {None, "build"})

    found, ahead = {root}, [root]
    while ahead:
        new = [id for id in needs(ahead.pop()) if id not in found]
        found.update(new)
        ahead.extend(new)
    order = sorted(found - {root}, key=lambda id: purl(packages[id]))
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(int(run("git", "log", "-1", "--format=%ct")), timezone.utc).isoformat(),
            "component": component(packages[root], "application", digests),
        },
        "components": [component(packages[id], "library", digests) for id in order],
        "dependencies": [
            {"ref": purl(packages[id]), "dependsOn": sorted({purl(packages[dep]) for dep in needs(id)})}
            for id in [root, *order]
        ],
    }
    bom["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bom)).urn
    json.dump(bom, sys.stdout, indent=2, ensure_ascii=False)
    print()


main()
