# SPDX-License-Identifier: MIT
"""Fuzzes for a time, or repeats a case. In tests/:

python -m fuzz --minutes 120 --seed 7          all parts in turn
python -m fuzz --minutes 20 --part lines       one part: lines, images, gradients, hostile or calls
python -m fuzz --part images --seed 7 --case 3 the case of a finding again
"""

import argparse
import secrets
import sys
import time

from fuzz.parts import PARTS
from fuzz.tally import Finding, Tally


def main() -> int:
    options = _options()
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    parts = [options.part] if options.part else list(PARTS)
    totals = {name: Tally() for name in parts}
    print(f"seed {seed}, parts {', '.join(parts)}", flush=True)
    if options.case is not None:
        for name in parts:
            _show(totals[name].merge(PARTS[name].run(seed, options.case, 1)))
    else:
        _fuzz(totals, seed, options.minutes)
    for name, tally in totals.items():
        print(f"{name}: {tally}")
    return int(any(tally.findings for tally in totals.values()))


def _fuzz(totals: dict[str, Tally], seed: int, minutes: float) -> None:
    """Takes the part that has run for the shortest time next, until the time is over."""
    end = time.monotonic() + 60 * minutes
    spent, done = dict.fromkeys(totals, 0.0), dict.fromkeys(totals, 0)
    while (now := time.monotonic()) < end:
        name = min(spent, key=spent.__getitem__)
        part = PARTS[name]
        _show(totals[name].merge(part.run(seed, done[name], part.round)))
        done[name] += part.round
        spent[name] += time.monotonic() - now
        left = max(end - time.monotonic(), 0) / 60
        print(f"[{left:.0f} min left] {name}: {totals[name]}", flush=True)


def _show(findings: list[Finding]) -> None:
    for finding in findings:
        print(f"\n{finding.detail}\n{finding.snippet}\n", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m fuzz", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=2, help="for how long (default 2)")
    parser.add_argument("--seed", type=int, help="of all cases; by default another each time")
    parser.add_argument("--part", choices=sorted(PARTS), help="only this one")
    parser.add_argument("--case", type=int, help="only this one, of each part")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
