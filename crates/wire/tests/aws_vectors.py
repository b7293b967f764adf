"""Writes aws_vectors.json from the signing test suite of AWS: python3 aws_vectors.py FOLDER_OF_THE_SUITE/v4 > aws_vectors.json

The suite is published in awslabs/aws-c-auth (Apache-2.0), and in the package of the crate aws-sigv4. Kept of each case: the
request as it is sent, signed in its header and in its query, and the hash that its string to sign ends with.
"""

import json
import sys
from pathlib import Path


def request(text):
    """Method, target, headers and body; a header that goes on in the next line is put together as HTTP reads it."""
    head, _, body = text.partition("\n\n")
    first, *lines = head.split("\n")
    method, rest = first.split(" ", 1)
    headers = []
    for line in lines:
        if line.startswith((" ", "\t")):
            headers[-1][1] += " " + line.strip()
        elif line:
            headers.append(line.split(":", 1))
    return {"method": method, "target": rest.removesuffix(" HTTP/1.1"), "headers": headers, "body": body.rstrip("\n")}


def case(folder):
    context = json.loads((folder / "context.json").read_text())
    read = lambda name: (folder / f"{name}.txt").read_text().replace("\r\n", "\n")
    found = {"name": folder.name, "normalize": context["normalize"], "token": context["credentials"].get("token")}
    for kind in ("header", "query"):
        found[kind] = {**request(read(f"{kind}-signed-request")), "hash": read(f"{kind}-string-to-sign").split("\n")[-1],
                       "payload": read(f"{kind}-canonical-request").split("\n")[-1]}
    return found


# What has no context is of another suite.
folders = [folder for folder in sorted(Path(sys.argv[1]).iterdir()) if (folder / "context.json").exists()]
print(json.dumps([case(folder) for folder in folders], indent=1, ensure_ascii=False))
