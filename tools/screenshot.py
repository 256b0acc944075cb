"""Takes a picture of a running page: `tools/screenshot.py http://127.0.0.1:8080 docs/images/page.png`.

Waits until the map and tracks are there. `--track N` selects a track, `--at LAT/LON/ZOOM` sets the view.
"""

import argparse
import sys
import time
from pathlib import Path

from skypact.benchmarks.browser import Browser, why_no_browser


def main() -> int:
    """Take the picture; exit code 2 when no browser can be run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url")
    parser.add_argument("out", type=Path)
    parser.add_argument("--track", type=int, help="track number to select")
    parser.add_argument("--at", help="view as LAT/LON/ZOOM, degrees")
    parser.add_argument("--size", default="1600x900", help="width and height, pixels")
    parser.add_argument("--wait", type=float, default=12.0, help="seconds for trails to grow")
    arguments = parser.parse_args()
    missing = why_no_browser()
    if missing:
        print(missing, file=sys.stderr)
        return 2
    width, height = (int(part) for part in arguments.size.split("x"))
    wanted = {"at": arguments.at, "track": arguments.track}
    view = "&".join(f"{key}={value}" for key, value in wanted.items() if value is not None)
    with Browser() as browser:
        page = browser.open(width, height)
        page.goto(f"{arguments.url}/#{view}")
        page.wait("window.__app && __app.status().hasMap && __app.tracks().length > 0", 60.0)
        time.sleep(arguments.wait)
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(arguments.out)
        for line in page.console():
            print(line, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
