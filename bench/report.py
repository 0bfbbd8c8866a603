#!/usr/bin/env python3
"""Makes of the measured rows (JSON, one per line) a table on the terminal, results.json and speed.svg.

report.py FOLDER ROWS...      reads the files ROWS, writes into FOLDER. Needs nothing but Python 3.
"""
import html
import json
import math
import pathlib
import sys

TITLES = {
    "matmul": "f32 product", "weights": "f32 product with a model's weights, packed once", "fused": "f32 product with bias and GELU", "threads": "f32 product, threads",
    "bf16": "bf16 product", "int8": "u8 x i8 product", "int4": "4-bit weights", "softmax": "Softmax", "map": "Functions", "quantize": "Quantisation",
    "attention": "Attention", "models": "Encoders, one sequence", "dispatch": "Cost of a call", "compile": "Compile time",
    "handles": "Handles and leases", "opening": "Opening a checkpoint", "returning": "Tensors that come back to memory", "attaching": "A second process attaches",
}
# Where other things than kernels are compared: no bars.
NOT_DRAWN = ("dispatch", "compile", "opening", "returning")


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
    """Horizontal bars of the ratio to the best peer, on a logarithmic axis: right of the middle line we are faster."""
    drawn = [row for row in rows if row["ratio"] and row["section"] not in NOT_DRAWN]
    step, left, width, right, top = 19, 270, 420, 230, 92
    low, high = -2, 3  # a quarter to eight times; what is beyond ends at the edge, its figure stands beside it
    def x(ratio):
        return left + width * (min(max(math.log2(ratio), low), high) - low) / (high - low)
    parts, y = [], top
    for section in dict.fromkeys(row["section"] for row in drawn):
        y += 12
        parts.append(f'<text class="h" x="16" y="{y + 13}">{html.escape(TITLES.get(section, section))}</text>')
        y += step + 3
        chosen = [row for row in drawn if row["section"] == section]
        for shape in dict.fromkeys(row["shape"] for row in chosen):
            both = sorted((row for row in chosen if row["shape"] == shape), key=lambda row: row["threads"])
            row = both[0]
            good = row["ratio"] >= 1
            a, b = sorted((x(1), x(row["ratio"])))
            parts.append(f'<text class="l" x="{left - 10}" y="{y + 13}" text-anchor="end">{html.escape(shape)}</text>')
            title = f"{shape}, {row['threads']} thread{'s' if row['threads'] > 1 else ''}: " + ", ".join(f"{name} {value(row, s)}" for name, s in row["seconds"].items()) + " " + row["unit"]
            parts.append(f'<rect class="{"g" if good else "b"}" x="{a:.1f}" y="{y + 4}" width="{max(b - a, 1.5):.1f}" height="11" rx="2"><title>{html.escape(title)}</title></rect>')
            if row.get("target_ratio"):
                at = x(row["target_ratio"])
                parts.append(f'<path class="t" d="M{at:.1f} {y + 1}v17"/>')
            for other in both[1:]:
                parts.append(f'<circle class="o" cx="{x(other["ratio"]):.1f}" cy="{y + 9.5}" r="3.5"><title>{other["threads"]} threads: {other["ratio"]:.2f} ×</title></circle>')
            parts.append(f'<text class="v" x="{left + width + 12}" y="{y + 13}">{row["ratio"]:.2f} × {html.escape(row["best"])}</text>')
            y += step
    bottom = y + 6
    grid = []
    for power in range(low, high + 1):
        at = x(2.0**power)
        name = f"{2**power} ×" if power >= 0 else f"1/{2**-power}"
        grid.append(f'<path class="{"one" if power == 0 else "grid"}" d="M{at:.1f} {top}V{bottom}"/><text class="a" x="{at:.1f}" y="{top - 6}" text-anchor="middle">{name}</text>')
    style = """
      text { font: 12px system-ui, sans-serif; fill: #57606a } .h { font-weight: 600; font-size: 13px; fill: #1f2328 } .title { font-weight: 600; font-size: 16px; fill: #1f2328 }
      .v, .a { fill: #57606a; font-size: 11px } .g { fill: #2f8f5b } .b { fill: #c2553f } .grid { stroke: #8c959f; stroke-opacity: .25 } .one { stroke: #57606a; stroke-width: 1.5 }
      .t { stroke: #b08800; stroke-width: 2 } .o { fill: none; stroke: #3b6fb5; stroke-width: 1.8 }
      @media (prefers-color-scheme: dark) { text, .v, .a { fill: #9198a1 } .h, .title { fill: #e6edf3 } .one { stroke: #9198a1 } .g { fill: #3fb171 } .b { fill: #e0715a } .o { stroke: #6ea8fe } .t { stroke: #d4a72c } }"""
    threads = sorted({row["threads"] for row in drawn})
    many = f', circle {threads[-1]} threads' if len(threads) > 1 else ""
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + right} {bottom + 16}" width="{left + width + right}" height="{bottom + 16}">
<style>{style}
</style>
<text class="title" x="16" y="26">cotenant's speed as a multiple of the fastest other library's</text>
<text x="16" y="46">{html.escape(machine.get("cpu", ""))}</text>
<text x="16" y="64">bar {threads[0] if threads else 1} thread{many}, yellow the target; logarithmic, right is faster</text>
{chr(10).join(grid)}
{chr(10).join(parts)}
</svg>
"""


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
