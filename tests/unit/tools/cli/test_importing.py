"""`takk import`: what it prints, its exit codes, and its help."""

from __future__ import annotations

from pathlib import Path

from tests.unit.tools.cli.runner import run

HEAD = "order_id,customer_id,currency,total,placed_at,remark\n"


def test_a_dry_run_needs_no_kafka(tmp_path: Path) -> None:
    """It prints the rows, the records, the range of time, and unused columns; without invalid rows the exit code is 0."""
    path = tmp_path / "orders.csv"
    path.write_text(f"{HEAD}o1,c1,DKK,10.00,2025-01-05,x\no2,c1,DKK,10.00,2025-02-05,x\n")
    code, output = run("import", str(path), "--kind", "orders", "--dry-run")
    assert (code, output.splitlines()) == (
        0,
        [
            "orders.csv: 2 rows, 2 records would be published, 0 invalid rows.",
            "  events from 2025-01-05 to 2025-02-05",
            "  unused columns: remark",
        ],
    )


def test_invalid_rows(tmp_path: Path) -> None:
    """Invalid rows are counted by reason, the file that has them is named, and the exit code is 1."""
    path = tmp_path / "orders.csv"
    path.write_text(f"{HEAD}o1,c1,DKK,ten,2025-01-05,x\n")
    code, output = run("import", str(path), "--kind", "orders", "--dry-run")
    assert code == 1
    assert "  1 row: bad_amount" in output
    assert f"see {path}.errors.jsonl" in output


def test_wrong_files_and_options(tmp_path: Path) -> None:
    """A missing kind or an unknown encoding is a usage error; an unreadable file or mapping is reported without a traceback."""
    path = tmp_path / "orders.csv"
    path.write_text(HEAD)
    assert run("import", str(path))[0] == 2
    assert run("import", str(path), "--kind", "orders", "--dry-run", "--encoding", "klingon")[0] == 2
    code, output = run("import", str(tmp_path / "none.csv"), "--kind", "orders", "--dry-run")
    assert (code, "cannot read" in output) == (1, True)
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text("fields: {order: Name}")
    code, output = run("import", str(path), "--kind", "orders", "--dry-run", "--mapping", str(mapping))
    assert (code, "unknown key 'order'" in output) == (1, True)


def test_the_help_teaches() -> None:
    """The help shows a mapping file, names the files that an import writes, and says that nobody is mailed."""
    _, output = run("import", "--help")
    for text in ("without mailing anybody", "fields:", ".errors.jsonl", ".import.json", "--dry-run"):
        assert text in output
