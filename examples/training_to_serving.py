"""From training to serving: train on a table, keep the model with its schema, answer JSON over HTTP."""

from __future__ import annotations

import json
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl

import fivefold
from fivefold.base.errors import FivefoldError
from fivefold.workbench.predict import load_table_model


def train(out: Path, method: str = "logistic-regression") -> Path:
    """Run a method's experiment on real data; the run directory holds spec, metrics, report and model."""
    record = fivefold.run(method, out=out, overrides=["data=breast-cancer"])
    print({name: round(value, 3) for name, value in record.metrics.items() if isinstance(value, float)})
    return Path(record.directory)


def server(run: Path, port: int = 8000) -> ThreadingHTTPServer:
    """Return a server whose POST takes a list of rows (column -> value) and gives back a list of predictions."""
    model = load_table_model(run)  # read once; it knows columns, types, encodings and classes

    class Predict(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                answer, status = model.predict(pl.DataFrame(json.loads(body))).to_dicts(), 200
            except (FivefoldError, ValueError) as error:  # one sentence that names what is missing or wrong
                answer, status = {"error": str(error)}, 400
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    return ThreadingHTTPServer(("127.0.0.1", port), Predict)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, server(train(Path(folder) / "run")) as serving:
        row = fivefold.load_dataset("breast-cancer").frame.drop("diagnosis").head(1).to_dicts()
        print(f"serving; try: curl -d '{json.dumps(row)}' http://127.0.0.1:{serving.server_port}")
        serving.serve_forever()
