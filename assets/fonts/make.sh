#!/usr/bin/env bash
# Cuts the overlay's font out of Debian's fonts-dejavu-core 2.37: Latin, Greek and Cyrillic letters, a few signs.
# Hints go too: the program's rasteriser does not use them. Needs apt-get, dpkg-deb and fonttools (pip install fonttools==4.68.0).
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

(cd "$work" && apt-get download -q fonts-dejavu-core && dpkg-deb -x fonts-dejavu-core_*.deb .)
original=$work/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf

letters=U+0020-007E,U+00A0-024F,U+0300-0304,U+0306-0308,U+030A-030C,U+0327,U+0328,U+0370-03FF,U+0400-045F,U+0490-0491
signs=U+2010-2027,U+2030,U+2032,U+2033,U+2039,U+203A,U+20AC,U+2122,U+2190-2193,U+2212,U+2248,U+2260,U+2264,U+2265,U+2581-2588,U+25A0,U+25B2,U+25B6,U+25BC,U+25C0,U+25CF,U+FFFD
pyftsubset "$original" --output-file="$here/DejaVuSans.ttf" --unicodes="$letters,$signs" --no-hinting --notdef-outline \
  --layout-features=kern,mark,mkmk,ccmp,locl --name-IDs='*' --name-languages='*'

# The licence, word for word as the font itself carries it (name records 0 and 13).
python3 - "$original" "$here/LICENSE-DejaVu.txt" <<'PY'
import sys
from fontTools.ttLib import TTFont
names = TTFont(sys.argv[1])["name"]
text = "\n\n".join(names.getDebugName(i).strip() for i in (0, 13))
open(sys.argv[2], "w", encoding="utf-8").write("\n".join(line.rstrip() for line in text.splitlines()) + "\n")
PY
