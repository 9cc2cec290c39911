"""Schemathesis over the server's own description: python conform.py BINARY [EXAMPLES]. Exit 1 if a response does not conform."""

import os
import pathlib
import subprocess
import sys
import tempfile

from server import serving

# What is checked of every response: no fault of the server's, and nothing that the description does not say.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def main(binary, examples="50"):
    schemathesis = pathlib.Path(sys.executable).with_name("schemathesis")
    hooks = {**os.environ, "SCHEMATHESIS_HOOKS": str(pathlib.Path(__file__).with_name("hooks.py"))}
    settings = {"WELLSPRING__ANSWER__MODEL": "extractive"}
    # It leaves what it found in its working folder.
    with serving(binary, settings) as url, tempfile.TemporaryDirectory() as folder:
        command = [
            str(schemathesis), "run", f"{url}/openapi.json", "--checks", CHECKS, "--max-examples", examples,
            "--seed", "1", "--request-timeout", "30", "--continue-on-failure", "--no-color",
            # A job's events are a stream that ends with the job.
            "--exclude-path-regex", "/events$", "--phases", "examples,coverage,fuzzing",
            "--exclude-path", "/ready", "--suppress-health-check", "all",
        ]
        sys.exit(subprocess.run(command, check=False, env=hooks, cwd=folder).returncode)


if __name__ == "__main__":
    main(*sys.argv[1:])
