#!/usr/bin/env python3
"""Makes of the rows that bench/gpu's programs and their peers printed one table and a chart: time, speed, the peer's, the ratio, the bound, the target.

report.py [--chart FILE] ROWS...      Needs nothing but Python 3. Ends with 1 where a result was wrong.
"""
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from chart import Bar, ratio_chart  # noqa: E402

# What a device can do at best, as its maker says: arithmetic in 10^12 operations per second, memory in GB/s.
BOUNDS = {
    "H100 80GB HBM3": {"f32": 66.9, "f16": 989.4, "bf16": 989.4, "i8": 1978.9, "memory": 3350},
    "H200": {"f32": 66.9, "f16": 989.4, "bf16": 989.4, "i8": 1978.9, "memory": 4800},
}


class Times:
    """At least so many times the fastest peer's speed."""

    def __init__(self, least):
        self.least = least

    def judge(self, row, report):
        ratio = report.ratio(row)
        return f"≥ {self.least:.2f} ×", None if ratio is None else round(ratio, 2) >= self.least


class OfMemory:
    """At least this share of the memory's bandwidth."""

    def __init__(self, least):
        self.least = least

    def judge(self, row, report):
        return f"≥ {self.least:.0%} of memory", round(row["gigabytes_per_second"] / report.bounds["memory"], 2) >= self.least if report.bounds else None


class Rate:
    """At least so many GB/s, a figure for one H100."""

    def __init__(self, least):
        self.least = least

    def judge(self, row, report):
        return f"≥ {self.least} GB/s", row["gigabytes_per_second"] >= self.least


class AtMost:
    """Seconds."""

    def __init__(self, seconds):
        self.seconds = seconds

    def judge(self, row, report):
        return f"≤ {microseconds(self.seconds)}", row["seconds"] <= self.seconds


class OfPlain:
    """At least this share of the speed of the plain product of the same type, 4096 in every direction."""

    def __init__(self, least):
        self.least = least

    def judge(self, row, report):
        plain = report.ours.get(f"matmul {row['bench'].split()[1]} 4096x4096x4096")
        share = row["teraops_per_second"] / plain["teraops_per_second"] if plain else None
        return f"≥ {self.least:.0%} of the plain one" + (f" ({share:.0%})" if share else ""), None if share is None else round(share, 2) >= self.least


class OneAlone:
    """Two tenants take at most so many times as long as one."""

    def __init__(self, most):
        self.most = most

    def judge(self, row, report):
        return f"≤ {self.most:.2f} × one alone ({row['times_one_alone']:.2f})", round(row["times_one_alone"], 2) <= self.most


TARGETS = [
    (r"matmul f32 1024x1024x1024$", Times(1.05)),
    (r"matmul f32 (2048x2048x2048|4096x4096x4096|8192x8192x8192)$", Times(0.90)),
    (r"matmul b?f16 2048x2048x2048$", Times(0.60)),
    (r"matmul b?f16 (4096x4096x4096|8192x8192x8192)$", Times(0.45)),
    (r"matmul i8 (1024x1024x1024|2048x2048x2048)$", Times(1.05)),
    (r"matmul i8 (4096x4096x4096|8192x8192x8192)$", Times(0.60)),
    (r"matmul f\d+ 4096x4096x4096 (NT|TN|TT)$", OfPlain(0.95)),
    (r"matmul f\d+ (4000x4000x4000|4095x4095x4095)$", OfPlain(0.90)),
    (r"matmul f\d+ (relu\(2x\+1\)|gelu) 4096x4096x4096$", OfPlain(0.95)),
    (r"matmul f\d+ 1x4096x16384", OfMemory(0.85)),
    (r"softmax (4096x4096|32768x1024) f32$", Times(1.05)),
    (r"relu\(a\*b\+1\) f32|quantize f32 to i8$|dequantize i8 to f32$", Rate(2900)),
    (r"(host to device|device to host) 256 MiB", Rate(48)),
    (r"one dispatch, handed over and waited for$", AtMost(15e-6)),
    (r"a dispatch that waits for the one before, on the device$", AtMost(2e-6)),
    (r"two tenants on two queues", OneAlone(1.10)),
    (r"first matmul f\d+ 1024, kernels on the disk, from the device's creation on$", AtMost(50e-3)),
]

# The chart's sections: the first that fits.
HEADINGS = [
    (r"matmul|attention", "Products and attention"),
    (r"BERT", "Whole encoders"),
    (r"host to|device to|one |two |a dispatch|first ", "Starting, dispatching, copying"),
    (r"", "Rows and maps"),
]


def microseconds(seconds):
    return f"{seconds * 1e3:.1f} ms" if seconds >= 1e-2 else f"{seconds * 1e6:.1f} µs"


class Report:
    def __init__(self, paths):
        self.ours, self.peers, self.device = {}, {}, {}
        for path in paths:
            for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
                if not line.startswith("{"):
                    continue
                row = json.loads(line)
                if "device" in row:
                    self.device = row
                elif "peer" in row:
                    self.peers.setdefault(row["bench"], []).append(row)
                else:
                    self.ours[row["bench"]] = row
        self.bounds = next((value for name, value in BOUNDS.items() if name in self.device.get("device", "")), None)
        self.wrong = [name for name, row in self.ours.items() if row.get("right") is False]

    def rivals(self, row):
        """The peer in its several forms, the fastest first."""
        return sorted(self.peers.get(row["bench"], []), key=lambda one: one["seconds"])

    def ratio(self, row):
        rivals = self.rivals(row)
        return rivals[0]["seconds"] / row["seconds"] if rivals else None

    def share(self, row):
        """The share of the nearest bound: arithmetic's or the memory's, whichever takes longer."""
        shares = [(row.get("gigabytes_per_second", 0) / self.bounds["memory"], "memory")] if self.bounds else []
        kind = next((word for word in row["bench"].split() if word in ("f32", "f16", "bf16", "i8")), None)
        if self.bounds and kind and "teraops_per_second" in row:
            shares.append((row["teraops_per_second"] / self.bounds[kind], "arithmetic"))
        share, what = max(shares, default=(0, ""))
        return f"{share:5.0%} of {what}" if share else ""

    @staticmethod
    def rule(name):
        """The target of the row of that name, or None."""
        return next((rule for pattern, rule in TARGETS if re.match(pattern, name)), None)

    def target(self, row):
        """What is asked, and whether it is met: None where that cannot be told."""
        rule = self.rule(row["bench"])
        return rule.judge(row, self) if rule else ("", None)

    def print_table(self):
        if self.device:
            print(f"{self.device['device']}, {self.device['driver']}\n")
        print("| | cotenant | speed | peer | times the peer's speed | bound | target | |\n|---|---|---|---|---|---|---|---|")
        judged = []
        for name, row in self.ours.items():
            teraops, moved = row.get("teraops_per_second", 0), row.get("gigabytes_per_second", 0)
            speed = f"{teraops:.1f} T/s" if teraops and "x1x" not in name and teraops > 5 else f"{moved:.0f} GB/s" if moved else ""
            ratio = self.ratio(row)
            # Each form with what its name says after the version.
            times = ", ".join(" ".join([microseconds(one["seconds"]), one["peer"].partition(", ")[2]]).strip() for one in self.rivals(row))
            text, met = self.target(row)
            if met is not None:
                judged.append(met)
            verdict = {True: "met", False: "NOT MET", None: ""}[met]
            print(f"| {name} | {microseconds(row['seconds'])} | {speed} | {times} | {'' if ratio is None else f'{ratio:.2f}'} | {self.share(row)} | {text} | {verdict} |")
        print(f"\n{sum(judged)} of {len(judged)} targets met")
        for name in self.wrong:
            print(f"WRONG: {name}")

    def chart(self):
        sections = {}
        for name, row in self.ours.items():
            ratio = self.ratio(row)
            if ratio is None:
                continue
            heading = next(heading for pattern, heading in HEADINGS if re.match(pattern, name))
            rival, rule = self.rivals(row)[0], self.rule(name)
            sections.setdefault(heading, []).append(
                Bar(name, ratio, " ".join(["PyTorch", rival["peer"].partition(", ")[2]]).strip(), f"{name}: {microseconds(row['seconds'])}, {rival['peer']} {microseconds(rival['seconds'])}",
                    rule.least if isinstance(rule, Times) else None))
        lines = [f"{self.device.get('device', '')}, {self.device.get('driver', '')}", "yellow the target; logarithmic, right is faster"]
        ordered = {heading: sections[heading] for _, heading in HEADINGS if heading in sections}
        return ratio_chart("cotenant's speed on the GPU as a multiple of PyTorch's", lines, ordered, left=480, right=300)


def main():
    arguments = sys.argv[1:]
    chart = None
    if arguments[:1] == ["--chart"]:
        chart, arguments = arguments[1], arguments[2:]
    if not arguments:
        raise SystemExit(__doc__)
    report = Report(arguments)
    report.print_table()
    if chart:
        pathlib.Path(chart).write_text(report.chart(), encoding="utf-8")
    return 1 if report.wrong else 0


sys.exit(main())
