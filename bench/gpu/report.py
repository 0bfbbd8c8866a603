"""One table of the rows that bench/gpu's programs and their peers printed: time, speed, the peer's time, the ratio and the bound."""
import json
import sys

# What a device can do at best, as its maker says: arithmetic in 10^12 operations per second, memory in GB/s.
BOUNDS = {
    "H100 80GB HBM3": {"f32": 66.9, "f16": 989.4, "bf16": 989.4, "i8": 1978.9, "memory": 3350},
    "H200": {"f32": 66.9, "f16": 989.4, "bf16": 989.4, "i8": 1978.9, "memory": 4800},
}


def bound_of(row, bounds):
    """The share of the nearest bound: arithmetic's or the memory's, whichever takes longer."""
    if not bounds:
        return ""
    shares = []
    kind = next((word for word in row["bench"].split() if word in ("f32", "f16", "bf16", "i8")), None)
    if "teraops_per_second" in row and kind:
        shares.append((row["teraops_per_second"] / bounds[kind], "arithmetic"))
    shares.append((row.get("gigabytes_per_second", 0) / bounds["memory"], "memory"))
    share, what = max(shares)
    return f"{share:5.0%} of {what}" if share else ""


def microseconds(seconds):
    return f"{seconds * 1e6:.1f} µs"


def main():
    ours, peers, device, wrong = {}, {}, None, []
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                if not line.startswith("{"):
                    continue
                row = json.loads(line)
                if "device" in row:
                    device = row
                elif "peer" in row:
                    peers.setdefault(row["bench"], []).append(row)
                elif "bench" in row:
                    ours[row["bench"]] = row
                    if row.get("right") is False:
                        wrong.append(row["bench"])
    bounds = next((value for name, value in BOUNDS.items() if device and name in device["device"]), None)
    if device:
        print(f"{device['device']}, {device['driver']}\n")
    print("| | cotenant | speed | peer | times the peer's speed | bound |\n|---|---|---|---|---|---|")
    for name, row in ours.items():
        rivals = sorted(peers.get(name, []), key=lambda one: one["seconds"])
        peer = rivals[0] if rivals else None
        teraops = row.get("teraops_per_second", 0)
        moved = row.get("gigabytes_per_second", 0)
        speed = f"{teraops:.1f} T/s" if teraops and "x1x" not in name and teraops > 5 else f"{moved:.0f} GB/s" if moved else ""
        ratio = f"{peer['seconds'] / row['seconds']:.2f}" if peer else ""
        # Several forms of a peer: the fastest first, each with what its name says after the version.
        times = ", ".join(" ".join([microseconds(one["seconds"]), one["peer"].partition(", ")[2]]).strip() for one in rivals)
        print(f"| {name} | {microseconds(row['seconds'])} | {speed} | {times} | {ratio} | {bound_of(row, bounds)} |")
    for name in wrong:
        print(f"WRONG: {name}")
    return 1 if wrong else 0


sys.exit(main())
