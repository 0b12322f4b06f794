"""The benchmarks run and keep their JSON keys; how fast anything is, no test asserts."""

import json
import subprocess
import sys
from pathlib import Path

DISTRIBUTIONS = {
    "floor_redis",
    "floor_embedding",
    "floor_postgres",
    "get_context_query",
    "get_context",
    "search",
    "why_reject",
    "hear",
    "store_ack",
    "visible_in_postgres",
}
TARGETS = {
    "store_ack_p95_ms",
    "visible_in_postgres_p99_ms",
    "get_context_query_p95_ms",
    "why_reject_p99_ms",
}


def test_the_quick_run_writes_every_figure(tmp_path):
    figures = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--json", str(figures)]
    run = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "locomo_replay is skipped" in run.stdout

    report = json.loads(figures.read_text())["latency"]
    assert report["distributions"].keys() == DISTRIBUTIONS
    for distribution in report["distributions"].values():
        assert distribution.keys() == {"count", "p50_ms", "p95_ms", "p99_ms", "max_ms"}
    assert report["ratios"].keys() == {"get_context_p50_over_floor", "ingest_ms_per_memory"}
    assert report["targets"].keys() == TARGETS
    for target in report["targets"].values():
        assert target.keys() == {"name", "limit", "measured", "holds"}
    assert report["machine"].keys() >= {"cores", "load_before", "load_after"}
