#!/usr/bin/env python3
"""Makes of the measured rows (JSON, one per line) a table on the terminal, results.json and speed.svg.

report.py FOLDER ROWS...      reads the files ROWS, writes into FOLDER. Needs nothing but Python 3.
"""
import json
import pathlib
import sys

from chart import Bar, ratio_chart

TITLES = {
    "matmul": "f32 product", "weights": "f32 product with a model's weights, packed once", "fused": "f32 product with bias and GELU", "threads": "f32 product, threads",
    "accuracy": "f32 product, root mean square error relative to the norms of row and column",
    "bf16": "bf16 product", "int8": "u8 x i8 product", "int4": "4-bit weights", "softmax": "Softmax", "map": "Functions", "quantize": "Quantisation",
    "attention": "Attention", "models": "Encoders, one sequence", "dispatch": "Cost of a call", "compile": "Compile time",
    "handles": "Handles and leases", "opening": "Opening a checkpoint", "returning": "Tensors that come back to memory", "attaching": "A second process attaches",
}
# Where other things than kernels are compared: no bars.
NOT_DRAWN = ("accuracy", "dispatch", "compile", "opening", "returning")


def read(paths):
    machine, rows, peers = {}, [], []
    for path in paths:
        for line in pathlib.Path(path).read_text().splitlines():
            entry = json.loads(line)
            if "machine" in entry:  # one for each number of threads: the same but for the rates
                entry["machine"]["rates"] = machine.get("rates", []) + entry["machine"].get("rates", [])
                machine = entry["machine"]
            elif "peer" in entry:
                if entry["peer"] not in peers:
                    peers.append(entry["peer"])
            else:
                rows.append(entry)
    machine["peers"] = machine.get("peers", []) + peers
    place = {}  # a shape's rows together, where the first of them is
    for row in rows:
        place.setdefault((row["section"], row["shape"].split("  (")[0]), len(place))
    rows.sort(key=lambda row: (place[row["section"], row["shape"].split("  (")[0]], row["threads"]))
    return machine, rows


def judge(row, rates):
    """Adds to a row: the rate of each contestant, the ratio to the best peer, the share of the bound, whether the target is met."""
    seconds = row["seconds"]
    ours = seconds["cotenant"]
    others = [name for name in seconds if name != "cotenant"]
    # Ours in another form stands in only where there is no library to compare with.
    libraries = [name for name in others if not name.startswith("cotenant")] or others
    best = min(libraries, key=seconds.get) if libraries else None
    row["best"], row["ratio"] = best, seconds[best] / ours if best else None
    # Some targets are about some of the peers.
    held = [name for name in row.get("target_peers") or others if name in seconds]
    row["target_against"] = min(held, key=seconds.get) if held else None
    row["held_ratio"] = seconds[row["target_against"]] / ours if held else None
    rate = rates.get((row.get("bound"), row["threads"]))
    row["share"] = row["bound_work"] / ours * 1e-9 / rate if rate and row.get("bound_work") else None
    met = []
    # As the table shows them: two digits after the point, whole per cent.
    if row.get("target_ratio") and row["held_ratio"] is not None:
        met.append(round(row["held_ratio"], 2) >= round(row["target_ratio"], 2))
    if row.get("target_share") and row["share"] is not None:
        met.append(round(row["share"], 2) >= row["target_share"])
    if row.get("limit"):
        met.append(ours <= row["limit"])
    row["met"] = (any(met) if row.get("either") else all(met)) if met else None


def value(row, seconds):
    if row["unit"] in ("ms", "ns", "s"):
        return f"{seconds * {'ms': 1e3, 'ns': 1e9, 's': 1}[row['unit']]:.2f}"
    if row["unit"] == "1e-9":  # so does an error
        return f"{seconds * 1e9:.2f}"
    if row["unit"] == "MiB":  # bytes stand where seconds do elsewhere
        return f"{seconds / 2**20:.1f}"
    rate = row["work"] / seconds * 1e-9
    return f"{rate:.1f}" if rate >= 10 else f"{rate:.2f}"


def target(row):
    parts = []
    if row.get("target_ratio"):
        other = row.get("target_against") if row.get("target_against") != row["best"] else None
        parts.append(f"≥ {row['target_ratio']:.2f} ×" + (f" {other} ({row['held_ratio']:.2f})" if other else ""))
    if row.get("target_share"):
        parts.append(f"≥ {100 * row['target_share']:.0f} %")
    if row.get("limit"):
        parts.append(f"≤ {value(row, row['limit'])} {row['unit']}")
    return (" or " if row.get("either") else ", ").join(parts)


def print_table(machine, rows):
    print(machine.get("cpu", ""))
    print(machine.get("compiler", ""))
    for line in machine["peers"]:
        print("  " + line)
    if machine.get("rates"):
        print("\nThe machine's bounds, in 1e9 operations or bytes per second")
        threads = sorted({rate["threads"] for rate in machine["rates"]})
        print(f"  {'':8}{'':34}" + "".join(f"{count:>6} thread{'s' if count > 1 else ' '}" for count in threads))
        for bound in dict.fromkeys(rate["bound"] for rate in machine["rates"]):
            each = [rate for rate in machine["rates"] if rate["bound"] == bound]
            print(f"  {bound:8}{each[0]['how']:34}" + "".join(f"{rate['rate']:>14.1f}" for rate in each))
    for section in dict.fromkeys(row["section"] for row in rows):
        chosen = [row for row in rows if row["section"] == section]
        peers = list(dict.fromkeys(name for row in chosen for name in row["seconds"] if name != "cotenant"))
        units = {row["unit"] for row in chosen}
        header = ["", "threads", "cotenant", *peers, "to best", "of bound", "target", ""]
        table = [header]
        for row in chosen:
            shape = row["shape"] + (f"  ({row['note']})" if row.get("note") else "")
            cells = [value(row, row["seconds"][name]) if name in row["seconds"] else "" for name in ("cotenant", *peers)]
            ratio = f"{row['ratio']:.2f} ×" if row["ratio"] else ""
            share = f"{100 * row['share']:.0f} % {row['bound']}" if row["share"] else ""
            table.append([shape, str(row["threads"]), *cells, ratio, share, target(row), {True: "met", False: "NOT MET", None: ""}[row["met"]]])
        widths = [max(len(line[i]) for line in table) for i in range(len(header))]
        print(f"\n{TITLES.get(section, section)}, {', '.join(sorted(units))}")
        for line in table:
            print("  " + "  ".join(cell.ljust(width) if i in (0, len(header) - 1) else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths))).rstrip())
    judged = [row for row in rows if row["met"] is not None]
    print(f"\n{sum(row['met'] for row in judged)} of {len(judged)} targets met")


def chart(machine, rows):
    drawn = [row for row in rows if row["ratio"] and row["section"] not in NOT_DRAWN]
    threads = sorted({row["threads"] for row in drawn})
    sections = {}
    for section in dict.fromkeys(row["section"] for row in drawn):
        chosen = [row for row in drawn if row["section"] == section]
        bars = sections.setdefault(TITLES.get(section, section), [])
        for shape in dict.fromkeys(row["shape"] for row in chosen):
            row, *others = sorted((row for row in chosen if row["shape"] == shape), key=lambda row: row["threads"])
            title = f"{shape}, {row['threads']} thread{'s' if row['threads'] > 1 else ''}: " + ", ".join(f"{name} {value(row, s)}" for name, s in row["seconds"].items()) + " " + row["unit"]
            bars.append(Bar(shape, row["ratio"], row["best"], title, row.get("target_ratio"), {f"{other['threads']} threads": other["ratio"] for other in others}))
    many = f", circle {threads[-1]} threads" if len(threads) > 1 else ""
    lines = [machine.get("cpu", ""), f"bar {threads[0] if threads else 1} thread{many}, yellow the target; logarithmic, right is faster"]
    return ratio_chart("cotenant's speed as a multiple of the fastest other library's", lines, sections)


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    machine, rows = read(sys.argv[2:])
    rates = {(rate["bound"], rate["threads"]): rate["rate"] for rate in machine.get("rates", [])}
    for row in rows:
        judge(row, rates)
    print_table(machine, rows)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps({"machine": machine, "rows": rows}, indent=1, ensure_ascii=False) + "\n")
    (folder / "speed.svg").write_text(chart(machine, rows))
    print(f"{folder / 'results.json'}, {folder / 'speed.svg'}")


if __name__ == "__main__":
    main()
