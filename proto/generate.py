"""Writes gen/ from the contracts: Python stubs, the descriptor set that Envoy loads, OpenAPI.

Run as `python -m proto.generate [OUTPUT]`; the output folder defaults to gen/ and is made anew.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from proto.openapi import write_openapi

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "proto"
# Names of plugins that protoc starts; both come with mypy-protobuf.
PLUGIN_FOLDER = Path(sys.executable).parent


def main() -> None:
    """Generate everything into the folder given as the only argument."""
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "gen"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    sources = sorted(
        str(path.relative_to(CONTRACTS)) for path in CONTRACTS.glob("paymesh/**/*.proto")
    )
    _protoc(
        f"--python_out={output}",
        f"--pyi_out={output}",
        f"--grpc_python_out={output}",
        f"--plugin=protoc-gen-mypy_grpc={PLUGIN_FOLDER / 'protoc-gen-mypy_grpc'}",
        f"--mypy_grpc_out={output}",
        *sources,
    )
    # google/rpc comes along so that the transcoder knows the types of error details.
    _protoc(
        "--include_imports",
        f"--descriptor_set_out={output / 'api.binpb'}",
        *sources,
        "google/rpc/error_details.proto",
    )
    documented = output / "documented.binpb"
    _protoc(
        "--include_imports", "--include_source_info", f"--descriptor_set_out={documented}", *sources
    )
    write_openapi(documented, ROOT / "edge" / "envoy.yaml", output / "openapi.yaml")
    documented.unlink()
    for stub in output.rglob("*_pb2_grpc.py*"):
        if not stub.stem.endswith("_service_pb2_grpc"):  # a file without a service has no stubs
            stub.unlink()
    for folder in (output / "paymesh", *(output / "paymesh").rglob("*/")):
        (folder / "__init__.py").write_text("")
    (output / "paymesh" / "py.typed").write_text("")


def _protoc(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={CONTRACTS}", *arguments],
        cwd=CONTRACTS,
        check=True,
        stderr=subprocess.DEVNULL if "--mypy_grpc_out" in " ".join(arguments) else None,
    )


if __name__ == "__main__":
    main()
