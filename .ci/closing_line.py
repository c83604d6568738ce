"""Repeat the closing line of each pytest run in a log, then their sum in the same form."""

import re
import sys
from collections import Counter
from pathlib import Path

CLOSING = re.compile(r"^=+ (?P<counts>.*) in (?P<seconds>[\d.]+)s\b.* =+$", re.MULTILINE)

COLOUR = re.compile(r"\x1b\[[\d;]*m")

log = COLOUR.sub("", Path(sys.argv[1]).read_text(errors="replace"))
totals: Counter[str] = Counter()
seconds = 0.0
for line in CLOSING.finditer(log):
    print(line[0])
    seconds += float(line["seconds"])
    for count, outcome in re.findall(r"(\d+) (\w+)", line["counts"]):
        totals[outcome] += int(count)

counts = ", ".join(f"{count} {outcome}" for outcome, count in totals.items()) or "no tests ran"
print(f" {counts} in {seconds:.2f}s ".center(80, "="))
